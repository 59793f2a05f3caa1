import ByzKit
import ByzRuntime
import Foundation
import Synchronization

/// The pipeline of ByzPy's benchmark: some branches, each of which prepares all vectors and takes their median.
struct BranchPipeline {
  static let (branches, passes) = (4, 30)

  /// What each step took in the latest run.
  let clock = StepTimes()

  func graph() throws -> ComputationGraph {
    let builder = GraphBuilder()
    let vectors = builder.input("gradients", as: [Tensor<Float>].self)
    let outputs = (0..<Self.branches).map { branch in
      let prepared = builder.apply(
        Timed(Preparation(passes: Self.passes), as: "prepare \(branch)", clock),
        to: ["gradients": vectors], as: [Tensor<Float>].self)
      return builder.apply(
        Timed(Median(), as: "median \(branch)", clock), to: ["vectors": prepared],
        as: Tensor<Float>.self)
    }
    return try builder.build(outputs[0], outputs[1], outputs[2], outputs[3])
  }
}

/// Centers, scales to deviation 1 and clips at 3, so many times over.
struct Preparation: Operator {
  let passes: Int
  var name: String { "preparation" }
  var inputNames: [String] { ["gradients"] }

  func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws -> any Sendable {
    try inputs.value("gradients", as: [Tensor<Float>].self).map(prepared)
  }

  func prepared(_ vector: Tensor<Float>) -> Tensor<Float> {
    var copy = vector
    copy.withUnsafeMutableBufferPointer { numbers in
      for _ in 0..<passes { Self.pass(numbers) }
    }
    return copy
  }

  private static func pass(_ numbers: UnsafeMutableBufferPointer<Float>) {
    let count = Float(numbers.count)
    let mean = sum(numbers, less: 0) { $0 } / count
    let variance = sum(numbers, less: mean) { $0 * $0 } / count
    let scale = 1 / (variance.squareRoot() + 1e-8)
    for j in numbers.indices { numbers[j] = min(3, max(-3, (numbers[j] - mean) * scale)) }
  }

  private typealias Lanes = SIMD16<Float>

  /// Of a tensor's own memory, which begins at a multiple of 64 bytes.
  @inline(__always)
  private static func sum(
    _ numbers: UnsafeMutableBufferPointer<Float>, less center: Float, _ term: (Lanes) -> Lanes
  ) -> Float {
    let whole = numbers.count / Lanes.scalarCount
    let lanes = UnsafeRawPointer(numbers.baseAddress!).assumingMemoryBound(to: Lanes.self)
    let center = Lanes(repeating: center)
    var sum = Lanes(repeating: 0)
    for j in 0..<whole { sum += term(lanes[j] - center) }
    var last = Lanes(repeating: 0)
    for (k, j) in (whole * Lanes.scalarCount..<numbers.count).enumerated() {
      last[k] = term(Lanes(repeating: numbers[j]) - center)[0]
    }
    return (sum + last).sum()
  }

  /// The same by its definition, in double precision.
  static func reference(_ vector: [Double], passes: Int) -> [Double] {
    var x = vector
    for _ in 0..<passes {
      let mean = x.reduce(0, +) / Double(x.count)
      let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
      x = x.map { min(3, max(-3, ($0 - mean) / (variance.squareRoot() + 1e-8))) }
    }
    return x
  }
}

/// Another operator, whose time is noted.
struct Timed: Operator {
  let step: any Operator
  let name: String
  let clock: StepTimes
  var inputNames: [String] { step.inputNames }

  init(_ step: any Operator, as name: String, _ clock: StepTimes) {
    self.step = step
    self.name = name
    self.clock = clock
  }

  func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws -> any Sendable {
    let start = ContinuousClock.now
    let value = try await step.run(inputs, in: context)
    clock.note(name, (ContinuousClock.now - start) / .seconds(1))
    return value
  }
}

/// Seconds by step, from whichever threads they come.
final class StepTimes: Sendable {
  private let seconds = Mutex<[String: Double]>([:])

  func note(_ step: String, _ time: Double) { seconds.withLock { $0[step] = time } }
  var all: [String: Double] { seconds.withLock { $0 } }
}

/// What a schedule cannot get below.
package enum CriticalPath {
  /// The longest branch, or each core's share of all work if that is more.
  package static func seconds(branches: [[Double]], cores: Int) -> Double {
    let lengths = branches.map { $0.reduce(0, +) }
    return max(lengths.max() ?? 0, lengths.reduce(0, +) / Double(cores))
  }
}
