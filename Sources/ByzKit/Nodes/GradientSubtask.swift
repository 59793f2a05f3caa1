import ByzRuntime
import ByzTensor

/// Computes one node's gradient, writes it to the node's row, and returns the loss.
struct GradientSubtask: FootprintSubtask {
  /// Its place among the residents.
  let node: Int
  let row: Int
  let round: Int

  var outputRows: Range<Int>? { row..<row + 1 }
  var residents: [Int] { [node] }

  func check(_ operands: Operands, limits: WireLimits) throws {
    guard let outputs = operands.outputs, outputs.elementType == .float32, round >= 0,
      outputs.pointers.indices.contains(row), outputs.pointers[row] != nil,
      operands.inputs.first?.shape.reduce(1, *) == outputs.columns
    else { throw RuntimeError(.malformedMessage, "Node \(node) has no row \(row) to write to.") }
  }

  func run(_ operands: Operands) throws -> Float {
    guard let node = operands.residents[self.node] as? HonestNode,
      let parameters = operands.inputs.first?.typed(as: Float.self), let outputs = operands.outputs
    else { throw RuntimeError(.unknownTarget, "Node \(self.node) is not here.") }
    let (loss, gradient) = try node.gradient(at: parameters, round: round)
    guard gradient.count == parameters.count else {
      throw ModelError.wrongParameterCount(expected: parameters.count, actual: gradient.count)
    }
    // The round has gone on without it.
    try Task.checkCancellation()
    outputs.copy(gradient, toRow: row)
    return loss
  }
}
