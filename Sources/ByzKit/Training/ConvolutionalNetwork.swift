import ByzTensor

/// The small convolutional network of the MNIST examples: 28 × 28 grey images, 10 classes, d =
/// 421,642.
///
/// ```
/// 28×28×1 → conv 3×3, ReLU, pool 2×2 → 14×14×32 → conv 3×3, ReLU, pool 2×2 → 7×7×64
///         → full, ReLU → 128 → full → 10
/// ```
///
/// Convolutions have a border of zeros, so they keep the size. Images and weights have their
/// channels last; the parameter vector is
///
/// | from | shape | what |
/// |---|---|---|
/// | 0 | (3, 3, 1, 32) | first filter: row, column, input channel, output channel |
/// | 288 | (32) | its bias |
/// | 320 | (3, 3, 32, 64) | second filter |
/// | 18,752 | (64) | its bias |
/// | 18,816 | (7, 7, 64, 128) | first full layer: row, column, channel, unit |
/// | 420,224 | (128) | its bias |
/// | 420,352 | (128, 10) | second full layer |
/// | 421,632 | (10) | its bias |
///
/// This is the network of ByzPy's examples (there in PyTorch, with channels first, so its vector
/// holds the same numbers in another order). A maximum that two pixels of a window share goes to
/// the first, as in PyTorch.
///
/// - Complexity: 4.2 million multiply-adds per input forward, three times that for a gradient; 72
///   KB of scratch memory per input.
public struct ConvolutionalNetwork: Model {
  private static let first = PooledConvolution(height: 28, width: 28, channels: 1, outputs: 32)
  private static let second = PooledConvolution(height: 14, width: 14, channels: 32, outputs: 64)
  private static let dense = DenseLayers(widths: [second.pooledCount, 128, 10])

  /// Where each part of the parameter vector begins.
  private enum Offset {
    static let firstBias = first.weightCount
    static let second = firstBias + first.outputs
    static let secondBias = second + ConvolutionalNetwork.second.weightCount
    static let dense = secondBias + ConvolutionalNetwork.second.outputs
  }

  /// The network; there is nothing to choose.
  public init() {}

  public var parameterCount: Int { Offset.dense + Self.dense.parameterCount }
  public var inputCount: Int { Self.first.inputCount }
  public var classCount: Int { 10 }

  /// Every weight and bias from U(-1/√k, 1/√k), where one output of the layer sums k products:
  /// PyTorch's default.
  public func initialParameters(key: RandomKey) -> Tensor<Float> {
    Tensor(shape: [parameterCount]) { parameters in
      key.child(0).fillSymmetric(
        UnsafeMutableBufferPointer(rebasing: parameters[..<Offset.second]), fanIn: 9)
      key.child(1).fillSymmetric(
        UnsafeMutableBufferPointer(rebasing: parameters[Offset.second..<Offset.dense]),
        fanIn: 9 * Self.second.channels)
      Self.dense.initialize(parameters.baseAddress! + Offset.dense, key: key.child(2))
    }
  }

  public func gradient(
    at parameters: Tensor<Float>, on batch: Batch, into gradient: inout Tensor<Float>,
    workspace: Workspace
  ) throws -> Float {
    try check(parameters: parameters, gradient: gradient, batch: batch)
    try BLAS.load()
    return workspace.withScratch { scratch in
      parameters.withUnsafeBufferPointer { parameters in
        batch.inputs.withUnsafeBufferPointer { inputs in
          gradient.withUnsafeMutableBufferPointer { gradient in
            differentiate(
              parameters.baseAddress!, inputs.baseAddress!, labels: batch.labels,
              gradient: gradient.baseAddress!, scratch: scratch)
          }
        }
      }
    }
  }

  public func logits(
    at parameters: Tensor<Float>, for inputs: Tensor<Float>, workspace: Workspace
  ) throws -> Tensor<Float> {
    try check(parameters: parameters, inputs: inputs)
    try BLAS.load()
    let count = inputs.shape[0]
    return Tensor(shape: [count, classCount]) { logits in
      guard count > 0 else { return }
      workspace.withScratch { scratch in
        parameters.withUnsafeBufferPointer { parameters in
          inputs.withUnsafeBufferPointer { inputs in
            let theta = parameters.baseAddress!
            // One image's buffers serve all of them: nothing looks back.
            let image = Activations(count: 1, scratch: scratch)
            let features = scratch.floats(count * Self.second.pooledCount).baseAddress!
            for i in 0..<count {
              image.forward(
                0, inputs.baseAddress! + i * inputCount, theta,
                into: features + i * Self.second.pooledCount)
            }
            _ = Self.dense.forward(
              features, count: count, parameters: theta + Offset.dense,
              logits: logits.baseAddress!, scratch: scratch)
          }
        }
      }
    }
  }
}

// MARK: - One batch

extension ConvolutionalNetwork {
  /// What the backward pass needs of each image, and the forward pass that fills it.
  private struct Activations {
    /// Bordered inputs of both convolutions, and which pixel of its window each pooled value was.
    let input, middle: UnsafeMutablePointer<Float>
    let whichFirst, whichSecond: UnsafeMutablePointer<UInt8>

    init(count: Int, scratch: Workspace.Scratch) {
      input = scratch.floats(count * first.borderedInputCount).baseAddress!
      middle = scratch.floats(count * second.borderedInputCount).baseAddress!
      whichFirst = scratch.bytes(count * first.pooledCount).baseAddress!
      whichSecond = scratch.bytes(count * second.pooledCount).baseAddress!
      for i in 0..<count {
        first.clearBorder(input + i * first.borderedInputCount, pixels: 1)
        second.clearBorder(middle + i * second.borderedInputCount, pixels: second.channels)
      }
    }

    /// Both convolutions of one image, kept as number `i`; writes its 7 × 7 × 64 features.
    func forward(
      _ i: Int, _ pixels: UnsafePointer<Float>, _ parameters: UnsafePointer<Float>,
      into features: UnsafeMutablePointer<Float>
    ) {
      let bordered = input + i * first.borderedInputCount
      for y in 0..<first.height {
        (bordered + first.inside + y * (first.width + 2)).update(
          from: pixels + y * first.width, count: first.width)
      }
      let pooled = middle + i * second.borderedInputCount
      first.forward(
        bordered, weights: parameters, bias: parameters + Offset.firstBias,
        pooled: pooled + second.inside, stride: (second.width + 2) * second.channels,
        which: whichFirst + i * first.pooledCount)
      second.forward(
        pooled, weights: parameters + Offset.second, bias: parameters + Offset.secondBias,
        pooled: features, stride: second.width / 2 * second.outputs,
        which: whichSecond + i * second.pooledCount)
    }
  }

  /// Writes the gradient and returns the mean loss.
  private func differentiate(
    _ parameters: UnsafePointer<Float>, _ inputs: UnsafePointer<Float>, labels: [Int],
    gradient: UnsafeMutablePointer<Float>, scratch: Workspace.Scratch
  ) -> Float {
    let (first, second, dense) = (Self.first, Self.second, Self.dense)
    let count = labels.count
    let images = Activations(count: count, scratch: scratch)
    let features = scratch.floats(count * second.pooledCount).baseAddress!
    for i in 0..<count {
      images.forward(
        i, inputs + i * inputCount, parameters, into: features + i * second.pooledCount)
    }

    let logits = scratch.floats(count * classCount).baseAddress!
    let activations = dense.forward(
      features, count: count, parameters: parameters + Offset.dense, logits: logits,
      scratch: scratch)
    let loss = CrossEntropy.differentiate(logits, labels: labels, classes: classCount)
    let featureGradients = scratch.floats(count * second.pooledCount).baseAddress!
    dense.backward(
      activations, count: count, parameters: parameters + Offset.dense, outputGradient: logits,
      gradient: gradient + Offset.dense, inputGradient: featureGradients, scratch: scratch)

    // The convolutions' kernels add image after image.
    gradient.update(repeating: 0, count: Offset.dense)
    let transposed = scratch.floats(second.weightCount).baseAddress!
    second.transposeWeights(parameters + Offset.second, into: transposed)
    let unpooled = scratch.floats(second.borderedOutputCount).baseAddress!
    second.clearBorder(unpooled, pixels: second.outputs)
    let middleGradient = scratch.floats(second.inputCount).baseAddress!
    for i in 0..<count {
      second.unpool(
        featureGradients + i * second.pooledCount,
        which: images.whichSecond + i * second.pooledCount, into: unpooled,
        biasGradient: gradient + Offset.secondBias)
      second.addWeightGradient(
        images.middle + i * second.borderedInputCount, gradient: unpooled,
        to: gradient + Offset.second)
      second.inputGradient(unpooled, transposed: transposed, into: middleGradient)
      first.addFirstGradient(
        images.input + i * first.borderedInputCount, pooledGradient: middleGradient,
        which: images.whichFirst + i * first.pooledCount, to: gradient,
        biasGradient: gradient + Offset.firstBias)
    }
    return loss
  }
}
