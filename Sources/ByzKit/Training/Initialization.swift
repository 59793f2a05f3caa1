import ByzTensor

extension RandomKey {
  /// Fills with U(-1/√k, 1/√k), where a layer's output sums k = `fanIn` products: PyTorch's default
  /// for weights and biases.
  func fillSymmetric(_ numbers: UnsafeMutableBufferPointer<Float>, fanIn: Int) {
    let bound = 1 / Float(fanIn).squareRoot()
    fillUniforms(numbers)
    for i in numbers.indices { numbers[i] = (2 * numbers[i] - 1) * bound }
  }
}
