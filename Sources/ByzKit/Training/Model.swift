import ByzTensor

/// A classifier whose parameters are one flat vector, so that workers, attacks and rules can treat
/// models as points in space.
///
/// A model is a value that knows shapes and formulas; parameters are passed in and never kept.
/// Conform to it to bring your own:
///
/// ```swift
/// let model = ConvolutionalNetwork()
/// var parameters = model.initialParameters(key: RandomKey(1))
/// let (loss, gradient) = try model.gradient(at: parameters, on: batch)     // gradient: (d)
/// ```
///
/// Training calls ``gradient(at:on:into:workspace:)`` once per step and node, at the same time on
/// several threads but with a workspace of each thread's own. The result must depend on the
/// arguments alone, to the last bit: then a run can be repeated anywhere.
public protocol Model: Sendable {
  /// The length d of the parameter vector.
  var parameterCount: Int { get }

  /// Numbers in one input.
  var inputCount: Int { get }

  /// Classes that labels count, from 0.
  var classCount: Int { get }

  /// Parameters to start from, of shape (d), the same for the same key.
  func initialParameters(key: RandomKey) -> Tensor<Float>

  /// Writes the gradient of the mean loss over a batch, and returns that loss.
  ///
  /// - Parameters:
  ///   - parameters: Where to differentiate, of shape (d).
  ///   - batch: At least one input.
  ///   - gradient: Overwritten, of shape (d).
  ///   - workspace: Scratch memory that no other call uses at the same time.
  /// - Throws: ``ModelError`` when shapes or labels do not fit the model; `BLASError` when a
  ///   model needs BLAS and there is none.
  func gradient(
    at parameters: Tensor<Float>, on batch: Batch, into gradient: inout Tensor<Float>,
    workspace: Workspace
  ) throws -> Float

  /// The unnormalised log-probabilities of all classes, of shape (count, classes).
  ///
  /// - Parameters:
  ///   - parameters: Of shape (d).
  ///   - inputs: One input per row.
  ///   - workspace: Scratch memory that no other call uses at the same time.
  /// - Throws: As ``gradient(at:on:into:workspace:)``.
  func logits(
    at parameters: Tensor<Float>, for inputs: Tensor<Float>, workspace: Workspace
  ) throws -> Tensor<Float>
}

extension Model {
  /// The mean loss over a batch and its gradient, of shape (d), in new memory.
  ///
  /// - Throws: As ``gradient(at:on:into:workspace:)``.
  public func gradient(
    at parameters: Tensor<Float>, on batch: Batch, workspace: Workspace = Workspace()
  ) throws -> (loss: Float, gradient: Tensor<Float>) {
    // Before there is memory for a gradient that nobody can want.
    guard parameters.count == parameterCount else {
      throw ModelError.wrongParameterCount(expected: parameterCount, actual: parameters.count)
    }
    var gradient = Tensor<Float>(repeating: 0, shape: [parameterCount])
    let loss = try self.gradient(at: parameters, on: batch, into: &gradient, workspace: workspace)
    return (loss, gradient)
  }

  /// The most likely class of each input: the lowest of equals. A row with a NaN has no answer and
  /// gives -1.
  ///
  /// - Throws: As ``logits(at:for:workspace:)``.
  public func predictions(
    at parameters: Tensor<Float>, for inputs: Tensor<Float>, workspace: Workspace = Workspace()
  ) throws -> [Int] {
    try logits(at: parameters, for: inputs, workspace: workspace).rows.map { row in
      row.withUnsafeBufferPointer { z in
        if z.contains(where: \.isNaN) { return -1 }
        return z.indices.reduce(0) { z[$1] > z[$0] ? $1 : $0 }
      }
    }
  }

  /// The share of a batch whose most likely class is its label, from 0 to 1; works through it 256
  /// inputs at a time.
  ///
  /// - Throws: ``ModelError/emptyBatch``, and as ``logits(at:for:workspace:)``.
  public func accuracy(
    at parameters: Tensor<Float>, on batch: Batch, workspace: Workspace = Workspace()
  ) throws -> Double {
    guard batch.count > 0 else { throw ModelError.emptyBatch }
    var correct = 0
    for start in stride(from: 0, to: batch.count, by: 256) {
      let part = batch[start..<min(start + 256, batch.count)]
      let classes = try predictions(at: parameters, for: part.inputs, workspace: workspace)
      for (predicted, label) in zip(classes, part.labels) where predicted == label { correct += 1 }
    }
    return Double(correct) / Double(batch.count)
  }
}

// MARK: - Checks

extension Model {
  /// Throws unless parameters and inputs have the model's sizes; also useful in models of your own.
  public func check(parameters: Tensor<Float>, inputs: Tensor<Float>) throws(ModelError) {
    guard parameters.count == parameterCount else {
      throw .wrongParameterCount(expected: parameterCount, actual: parameters.count)
    }
    let size = inputs.shape.isEmpty ? 0 : inputs.shape.dropFirst().reduce(1, *)
    guard size == inputCount else { throw .wrongInputCount(expected: inputCount, actual: size) }
  }

  /// Throws unless parameters, gradient and batch fit the model and every label is a class.
  public func check(
    parameters: Tensor<Float>, gradient: Tensor<Float>, batch: Batch
  ) throws(ModelError) {
    try check(parameters: parameters, inputs: batch.inputs)
    guard gradient.count == parameterCount else {
      throw .wrongParameterCount(expected: parameterCount, actual: gradient.count)
    }
    guard batch.count > 0 else { throw .emptyBatch }
    for (index, label) in batch.labels.enumerated() where !(0..<classCount).contains(label) {
      throw .invalidLabel(label, index: index, classes: classCount)
    }
  }
}
