import ByzKit
import Foundation

/// Rules to run one after another, from mapped files to a mapped file, so that memory does not grow with d.
struct RuleChain {
  let preAggregators: [any PreAggregator]
  /// A rule that makes one vector.
  let last: any Rule

  /// Runs the chain and writes its result, with all processors.
  func run(on input: InputVectors, writing path: String) async throws {
    switch TypedVectors(input) {
    case .float32(let vectors): try await run(on: vectors, writing: path)
    case .float64(let vectors): try await run(on: vectors, writing: path)
    }
  }

  private func run<Element>(on vectors: [Tensor<Element>], writing path: String) async throws {
    var n = vectors.count
    for rule in preAggregators {
      try rule.validate(n: n)
      n = rule.outputCount(n: n)
    }
    try last.validate(n: n)
    guard let shape = vectors.first?.shape else { throw AggregationError.noVectors }
    try await write(shape, to: path) { (outputs: inout [Tensor<Element>]) in
      try await withActorPool(.threads(ProcessInfo.processInfo.activeProcessorCount)) { pool in
        var vectors = vectors
        for rule in preAggregators {
          var next: [Tensor<Element>] = try Tensor.scratch(
            count: rule.outputCount(n: vectors.count), shape: shape, beside: path)
          try await rule.apply(
            to: vectors, into: &next, in: OperatorContext(nodeName: rule.name, pool: pool))
          vectors = next
        }
        try await last.apply(
          to: vectors, into: &outputs, in: OperatorContext(nodeName: last.name, pool: pool))
      }
    }
  }
}

/// Writes a tensor that `fill` computes in place; its only argument is that tensor. The file appears complete or not at all.
func write<Element: TensorElement>(
  _ shape: [Int], to path: String, fill: (inout [Tensor<Element>]) async throws -> Void
) async throws {
  let output = try Interruption.guarding(\.temporaryPath) {
    try NpyOutput<Element>(path: path, shape: shape)
  }
  // Moved out and back: only the sole reference may be written through.
  var outputs = [output.tensor]
  output.tensor = []
  try await fill(&outputs)
  output.tensor = outputs[0]
  try output.commit()
}
