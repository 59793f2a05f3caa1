import CByzKernels

/// A 3×3 convolution with a border of zeros, its bias, ReLU and 2×2 max-pooling: the shapes, and
/// what kernels do with them.
///
/// Images are (height, width, channels) with the channels side by side. A *bordered* image is
/// (height + 2, width + 2, channels) and zero on its outermost pixels; callers clear those once
/// with ``clearBorder(_:pixels:)``. All methods work on one image on the calling thread, and give
/// the same bits with every kernel variant.
package struct PooledConvolution: Sendable {
  package let height: Int
  package let width: Int
  package let channels: Int
  package let outputs: Int

  /// - Precondition: height and width even, `outputs` a multiple of 32, `channels` 1 or a multiple
  ///   of 32.
  package init(height: Int, width: Int, channels: Int, outputs: Int) {
    precondition(height % 2 == 0 && width % 2 == 0 && outputs % 32 == 0)
    precondition(channels == 1 || channels % 32 == 0)
    self.height = height
    self.width = width
    self.channels = channels
    self.outputs = outputs
  }

  /// The weights are (3, 3, channels, outputs).
  package var weightCount: Int { 9 * channels * outputs }
  /// Numbers in a pooled image, (height / 2, width / 2, outputs).
  package var pooledCount: Int { height / 2 * (width / 2) * outputs }
  /// Numbers in an image of inputs without its border.
  package var inputCount: Int { height * width * channels }
  /// Numbers in a bordered image of inputs.
  package var borderedInputCount: Int { (height + 2) * (width + 2) * channels }
  /// Numbers in a bordered image of outputs.
  package var borderedOutputCount: Int { (height + 2) * (width + 2) * outputs }
  /// Where the first pixel inside a bordered image of inputs lies.
  package var inside: Int { (width + 3) * channels }

  /// Zeroes the outermost pixels of a bordered image whose pixels hold `pixels` numbers each.
  package func clearBorder(_ image: UnsafeMutablePointer<Float>, pixels: Int) {
    let row = (width + 2) * pixels
    image.update(repeating: 0, count: row)
    for y in 1...height {
      (image + y * row).update(repeating: 0, count: pixels)
      (image + (y + 1) * row - pixels).update(repeating: 0, count: pixels)
    }
    (image + (height + 1) * row).update(repeating: 0, count: row)
  }

  /// Writes the pooled image, its rows `stride` numbers apart, and which of its window's four
  /// values each maximum was.
  package func forward(
    _ input: UnsafePointer<Float>, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>,
    pooled: UnsafeMutablePointer<Float>, stride: Int, which: UnsafeMutablePointer<UInt8>
  ) {
    byz_convolve_pool(
      input, height, width, channels, outputs, weights, bias, pooled, stride, which)
  }

  /// Writes the weights in the order that ``inputGradient(_:transposed:into:)`` takes.
  package func transposeWeights(
    _ weights: UnsafePointer<Float>, into transposed: UnsafeMutablePointer<Float>
  ) {
    byz_convolve_transpose_weights(weights, channels, outputs, transposed)
  }

  /// Writes the gradient before pooling into the inside of a bordered image of outputs; adds up the
  /// bias's.
  package func unpool(
    _ pooledGradient: UnsafePointer<Float>, which: UnsafePointer<UInt8>,
    into gradient: UnsafeMutablePointer<Float>, biasGradient: UnsafeMutablePointer<Float>
  ) {
    byz_unpool(pooledGradient, which, height, width, outputs, gradient, biasGradient)
  }

  /// Adds the weights' gradient of one image, from its bordered input and bordered gradient.
  package func addWeightGradient(
    _ input: UnsafePointer<Float>, gradient: UnsafePointer<Float>,
    to weightGradient: UnsafeMutablePointer<Float>
  ) {
    byz_convolve_weight_gradient(input, gradient, height, width, channels, outputs, weightGradient)
  }

  /// Writes the input's gradient, without a border, from the bordered gradient. Requires `channels`
  /// ≥ 32.
  package func inputGradient(
    _ gradient: UnsafePointer<Float>, transposed: UnsafePointer<Float>,
    into inputGradient: UnsafeMutablePointer<Float>
  ) {
    byz_convolve(gradient, height, width, outputs, channels, transposed, inputGradient)
  }

  /// Adds the gradients of weights and bias straight from the pooled gradient. Requires one
  /// channel.
  package func addFirstGradient(
    _ input: UnsafePointer<Float>, pooledGradient: UnsafePointer<Float>,
    which: UnsafePointer<UInt8>, to weightGradient: UnsafeMutablePointer<Float>,
    biasGradient: UnsafeMutablePointer<Float>
  ) {
    byz_convolve_pool_weight_gradient(
      input, pooledGradient, which, height, width, outputs, weightGradient, biasGradient)
  }
}
