import ByzTensor

/// Fully connected layers with ReLU between them.
///
/// ```
/// x₀ = input     xₗ₊₁ = max(0, xₗ Wₗ + bₗ)     logits = x_L W_L + b_L
/// ```
///
/// The parameter vector holds, layer by layer, W (inputs, outputs) row-major and then b (outputs).
/// With 784 inputs, one hidden layer of 128 and 10 classes d = 101,770.
///
/// - Complexity: O(Bd) for a batch of B; memory for B times all widths.
public struct MultilayerPerceptron: Model {
  private let layers: DenseLayers

  /// - Parameters:
  ///   - inputs: Numbers in one input.
  ///   - hidden: The units of each hidden layer; none for a linear model.
  ///   - classes: The number of classes.
  /// - Throws: ``ModelError/invalidWidths(_:)`` when one of them is not positive, or d is not below
  ///   2³¹.
  public init(inputs: Int, hidden: [Int], classes: Int) throws(ModelError) {
    let widths = [inputs] + hidden + [classes]
    // BLAS counts in 32 bits.
    guard widths.allSatisfy({ (1...Int(Int32.max)).contains($0) }),
      zip(widths, widths.dropFirst()).reduce(0, { $0 + Double($1.0 + 1) * Double($1.1) }) < 0x1p31
    else { throw .invalidWidths(widths) }
    layers = DenseLayers(widths: widths)
  }

  public var parameterCount: Int { layers.parameterCount }
  public var inputCount: Int { layers.widths[0] }
  public var classCount: Int { layers.widths[layers.layerCount] }
  /// The units of each hidden layer.
  var hiddenWidths: [Int] { Array(layers.widths[1..<layers.layerCount]) }

  /// Every weight and bias from U(-1/√k, 1/√k), where the layer has k inputs: PyTorch's default.
  public func initialParameters(key: RandomKey) -> Tensor<Float> {
    Tensor(shape: [parameterCount]) { layers.initialize($0.baseAddress!, key: key) }
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
            let logits = scratch.floats(batch.count * classCount).baseAddress!
            let activations = layers.forward(
              inputs.baseAddress!, count: batch.count, parameters: parameters.baseAddress!,
              logits: logits, scratch: scratch)
            let loss = CrossEntropy.differentiate(
              logits, labels: batch.labels, classes: classCount)
            layers.backward(
              activations, count: batch.count, parameters: parameters.baseAddress!,
              outputGradient: logits, gradient: gradient.baseAddress!, inputGradient: nil,
              scratch: scratch)
            return loss
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
            _ = layers.forward(
              inputs.baseAddress!, count: count, parameters: parameters.baseAddress!,
              logits: logits.baseAddress!, scratch: scratch)
          }
        }
      }
    }
  }
}
