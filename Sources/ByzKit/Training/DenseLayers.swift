import ByzTensor

/// Fully connected layers with ReLU between them: the whole of a multilayer perceptron, and the end
/// of a convolutional network.
///
/// ```
/// x₀ = inputs     xₗ₊₁ = max(0, xₗ Wₗ + bₗ)     logits = x_L W_L + b_L
/// ```
///
/// Parameters lie layer by layer: W (inputs, outputs) row-major, then b (outputs).
struct DenseLayers: Sendable {
  /// The numbers that enter, leave each hidden layer, and leave the last.
  let widths: [Int]

  /// Requires at least two positive widths.
  init(widths: [Int]) {
    precondition(widths.count >= 2 && widths.allSatisfy { $0 > 0 })
    self.widths = widths
  }

  var layerCount: Int { widths.count - 1 }

  var parameterCount: Int {
    zip(widths, widths.dropFirst()).reduce(0) { $0 + ($1.0 + 1) * $1.1 }
  }

  /// Where the weights and the bias of a layer begin.
  private func offsets(_ layer: Int) -> (weights: Int, bias: Int) {
    let before = zip(widths[..<layer], widths[1...]).reduce(0) { $0 + ($1.0 + 1) * $1.1 }
    return (before, before + widths[layer] * widths[layer + 1])
  }

  /// Draws every weight and bias from U(-1/√inputs, 1/√inputs), as PyTorch does, in the order of
  /// the parameters.
  func initialize(_ parameters: UnsafeMutablePointer<Float>, key: RandomKey) {
    for layer in 0..<layerCount {
      let (weights, bias) = offsets(layer)
      let end = bias + widths[layer + 1]
      key.child(UInt64(layer)).fillSymmetric(
        UnsafeMutableBufferPointer(start: parameters + weights, count: end - weights),
        fanIn: widths[layer])
    }
  }

  /// Writes the logits, (count, classes), and returns the outputs of every layer before, `inputs`
  /// first, as ``backward`` needs.
  func forward(
    _ inputs: UnsafePointer<Float>, count: Int, parameters: UnsafePointer<Float>,
    logits: UnsafeMutablePointer<Float>, scratch: Workspace.Scratch
  ) -> [UnsafePointer<Float>] {
    var activations = [inputs]
    for layer in 0..<layerCount {
      let width = widths[layer + 1]
      let (weights, bias) = offsets(layer)
      let isLast = layer == layerCount - 1
      let out = isLast ? logits : scratch.floats(count * width).baseAddress!
      for row in 0..<count { (out + row * width).update(from: parameters + bias, count: width) }
      BLAS.multiply(
        MatrixView(activations[layer], rows: count, columns: widths[layer]),
        MatrixView(parameters + weights, rows: widths[layer], columns: width), addend: 1,
        into: out)
      if isLast { break }
      // Not max(0, x): a NaN must stay one.
      for i in 0..<count * width where out[i] <= 0 { out[i] = 0 }
      activations.append(out)
    }
    return activations
  }

  /// Writes the gradient of all parameters and, if asked, of the inputs; overwrites
  /// `outputGradient`, that of the logits.
  func backward(
    _ activations: [UnsafePointer<Float>], count: Int, parameters: UnsafePointer<Float>,
    outputGradient: UnsafeMutablePointer<Float>, gradient: UnsafeMutablePointer<Float>,
    inputGradient: UnsafeMutablePointer<Float>?, scratch: Workspace.Scratch
  ) {
    var current = outputGradient
    for layer in (0..<layerCount).reversed() {
      let (weights, bias) = offsets(layer)
      let (rows, columns) = (widths[layer], widths[layer + 1])
      let input = MatrixView(activations[layer], rows: count, columns: rows)
      let outer = MatrixView(UnsafePointer(current), rows: count, columns: columns)
      BLAS.multiply(input.transposed, outer, into: gradient + weights)
      let biasGradient = gradient + bias
      biasGradient.update(from: current, count: columns)
      for row in 1..<max(count, 1) {
        let next = current + row * columns
        for j in 0..<columns { biasGradient[j] += next[j] }
      }
      guard layer > 0 || inputGradient != nil else { return }
      let below = layer > 0 ? scratch.floats(count * rows).baseAddress! : inputGradient!
      BLAS.multiply(
        outer, MatrixView(parameters + weights, rows: rows, columns: columns).transposed,
        into: below)
      if layer > 0 {
        let output = activations[layer]
        for i in 0..<count * rows where output[i] <= 0 { below[i] = 0 }
      }
      current = below
    }
  }
}
