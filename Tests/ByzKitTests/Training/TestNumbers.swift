import ByzKit
import ByzTensor

/// Reproducible numbers in -1 ..< 1, from a generator of the tests' own.
struct TestNumbers {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> Float {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(state >> 40) * 0x1p-23 - 1
  }

  mutating func vector(_ count: Int, scale: Float = 1) -> [Float] {
    (0..<count).map { _ in scale * next() }
  }
}

/// A batch of random inputs with labels in turn.
func randomBatch(_ count: Int, of model: some Model, seed: UInt64 = 7) throws -> Batch {
  var numbers = TestNumbers(seed: seed)
  return try Batch(
    inputs: Tensor(numbers.vector(count * model.inputCount), shape: [count, model.inputCount]),
    labels: (0..<count).map { $0 * 3 % model.classCount })
}

extension Batch {
  /// Each input as the twin takes it.
  var rows: [[Double]] { inputs.rows.map { $0.elements.map(Double.init) } }
}

/// max |a - b| / max |b|.
func relativeError(_ a: [Float], _ b: [Double]) -> Double {
  guard a.count == b.count else { return .infinity }
  let scale = b.reduce(0) { max($0, abs($1)) }
  return zip(a, b).reduce(0) { max($0, abs(Double($1.0) - $1.1)) } / scale
}
