import ByzKit
import ByzTensor
import Testing

@Suite("Vectors near the end of double precision")
struct FarVectorTests {
  /// Seven honest vectors of this spread between one that is 100 everywhere and one that is `far` everywhere.
  static func vectors(far: Double, spread: Double) -> [Tensor<Double>] {
    let honest = (0..<7).map {
      Tensor<Double>.normal(shape: [5], deviation: spread, key: RandomKey(UInt64($0)))
    }
    return [Tensor(repeating: 100, shape: [5])] + honest + [Tensor(repeating: far, shape: [5])]
  }

  @Test(
    "do not make a rule let another bad vector in",
    arguments: [1e20, 1e60, 1e78, 1e100, 1e120, 1e151, 1e153, 1e160, 1e200, 1e308], [1e-6, 1])
  func far(_ far: Double, spread: Double) throws {
    let rules: [any Aggregator] = [
      SMEA(f: 2), CAF(f: 2), GeometricMedian(), MDA(f: 2), MultiKrum(f: 2, q: 5),
      MoNNA(f: 2, reference: 1),
      MeanAroundMedian(f: 2), TrimmedMean(f: 2), Median(),
      CenteredClipping(tau: spread, iterations: 10, start: .median),
    ]
    for rule in rules {
      let result = try rule.aggregate(Self.vectors(far: far, spread: spread)).elements
      #expect(result.allSatisfy { abs($0) < 10 * spread }, "\(rule.name): \(result)")
    }
  }
}
