import ByzKit
import ByzTensor
import ByzTestSupport
import Testing

@Suite("Memory", .enabled(if: byz_test_can_measure_memory()))
struct MemoryTests {
  static let n = 7
  /// Both have as many parts of a measurement as there can be.
  static let (d, more) = (32 * 2048, 3 * 32 * 2048 - 5)

  /// The most bytes that a rule holds at once beside its input and output.
  private func peak<E: TensorElement>(_ rule: any Aggregator, d: Int, _: E.Type) throws -> Int {
    let vectors = (0..<Self.n).map { Tensor<E>(repeating: E($0 * $0), shape: [d]) }
    var out = Tensor<E>(repeating: 0, shape: [d])
    byz_test_start_measuring()
    defer { _ = byz_test_peak_memory() }  // also when the rule throws
    try rule.aggregate(vectors, into: &out)
    return Int(byz_test_peak_memory())
  }

  @Test("What measures memory sees that of Swift and of C, and sees it freed")
  func measure() {
    byz_test_start_measuring()
    // Too small for a tensor to take memory that an earlier one has left.
    for _ in 0..<20 { _ = Tensor<Float>(repeating: 1, shape: [25_000]) }
    let array = [UInt8](repeating: 1, count: 100_000)
    let tensor = Tensor<Float>(repeating: 1, shape: [25_000])
    let peak = Int(byz_test_peak_memory())
    #expect(peak >= array.count + 4 * tensor.count && peak < 1_000_000)
  }

  @Test(
    "Aggregating tensors allocates nothing proportional to n·d, nor to d",
    arguments: TestedRule.aggregators)
  func aggregating(_ rule: TestedRule) throws {
    let made = try #require(rule.make(Self.n, 1, 1) as? any Aggregator)
    _ = try peak(made, d: 100, Float.self)  // what is allocated once and for all
    let small = try peak(made, d: Self.d, Float.self)
    let large = try peak(made, d: Self.more, Float.self)
    #expect(large <= small + 4096, "\(small) bytes for d = \(Self.d), \(large) for \(Self.more)")
    let doubles = try peak(made, d: Self.more, Double.self)
    #expect(doubles < Self.n * Self.more * 8 / 20, "\(doubles) bytes for \(Self.more) doubles")
  }
}
