import ByzTensor

/// Multinomial logistic regression, `logits = x W + b`: the convex model of many papers on
/// Byzantine learning.
///
/// The parameter vector holds W (inputs, classes) row-major and then b (classes): d = 7,850 for 784
/// inputs and 10 classes.
///
/// - Complexity: O(Bd) for a batch of B.
public struct SoftmaxRegression: Model {
  private let network: MultilayerPerceptron

  /// - Throws: ``ModelError/invalidWidths(_:)`` when a count is not positive, or d is not below
  ///   2³¹.
  public init(inputs: Int, classes: Int) throws(ModelError) {
    network = try MultilayerPerceptron(inputs: inputs, hidden: [], classes: classes)
  }

  public var parameterCount: Int { network.parameterCount }
  public var inputCount: Int { network.inputCount }
  public var classCount: Int { network.classCount }

  /// Every weight and bias from U(-1/√inputs, 1/√inputs): PyTorch's default.
  public func initialParameters(key: RandomKey) -> Tensor<Float> {
    network.initialParameters(key: key)
  }

  public func gradient(
    at parameters: Tensor<Float>, on batch: Batch, into gradient: inout Tensor<Float>,
    workspace: Workspace
  ) throws -> Float {
    try network.gradient(at: parameters, on: batch, into: &gradient, workspace: workspace)
  }

  public func logits(
    at parameters: Tensor<Float>, for inputs: Tensor<Float>, workspace: Workspace
  ) throws -> Tensor<Float> {
    try network.logits(at: parameters, for: inputs, workspace: workspace)
  }
}
