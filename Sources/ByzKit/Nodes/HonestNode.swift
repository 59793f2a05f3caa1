import ByzRuntime
public import ByzTensor
import Synchronization

/// A participant that follows the protocol: it owns a shard of the data and answers with gradients.
///
/// Its batch in a round depends on the key and the round alone, so a run can be repeated or resumed anywhere.
public final class HonestNode: Sendable {
  /// The name in reports.
  public let name: String
  /// What it learns.
  public let model: any Model
  /// Its share of the training data.
  public let data: Batch
  /// Inputs in one batch; all of the data if that is less.
  public let batchSize: Int

  let key: RandomKey
  /// Scratch memory for the model, used by one call at a time.
  private let workspace = Mutex(Workspace())

  /// A node with its data.
  ///
  /// - Parameters:
  ///   - name: the name in reports.
  ///   - model: what it learns.
  ///   - data: its share of the training data.
  ///   - batchSize: inputs in one batch; all of the data if that is less.
  ///   - key: what its batches are drawn from; take another for each node.
  /// - Throws: ``ModelError/emptyBatch`` when there is no data,
  ///   ``ModelError/invalidHyperparameter(name:value:bound:)`` when the batch size is below 1,
  ///   ``ModelError/wrongInputCount(expected:actual:)`` and ``ModelError/invalidLabel(_:index:classes:)`` when the model cannot take the
  ///   data: then it could not learn from them in any round.
  public init(
    name: String, model: any Model, data: Batch, batchSize: Int, key: RandomKey
  ) throws(ModelError) {
    guard data.count > 0 else { throw .emptyBatch }
    guard batchSize >= 1 else {
      throw .invalidHyperparameter(
        name: "batch size", value: Double(batchSize), bound: "at least 1")
    }
    guard data.inputs.count == data.count * model.inputCount else {
      throw .wrongInputCount(expected: model.inputCount, actual: data.inputs.count / data.count)
    }
    if let index = data.labels.firstIndex(where: { !(0..<model.classCount).contains($0) }) {
      throw .invalidLabel(data.labels[index], index: index, classes: model.classCount)
    }
    self.name = name
    self.model = model
    self.data = data
    self.batchSize = min(batchSize, data.count)
    self.key = key
  }

  /// The batch of a round: the data is shuffled anew for each pass, and cut into batches; a rest is left out.
  ///
  /// - Precondition: `round` is not negative.
  public func batch(round: Int) -> Batch {
    let perPass = data.count / batchSize
    let order = key.child(UInt64(round / perPass)).permutation(of: data.count)
    let start = round % perPass * batchSize
    return data.selecting(order[start..<start + batchSize])
  }

  /// The mean loss and its gradient over the batch of a round.
  ///
  /// - Precondition: `round` is not negative.
  /// - Throws: what the model throws.
  public func gradient(
    at parameters: Tensor<Float>, round: Int
  ) throws -> (loss: Float, gradient: Tensor<Float>) {
    try gradient(at: parameters, on: batch(round: round))
  }

  /// The same over a batch of the caller's.
  func gradient(
    at parameters: Tensor<Float>, on batch: Batch
  ) throws -> (loss: Float, gradient: Tensor<Float>) {
    let result = try workspace.withLockIfAvailable { workspace in
      try model.gradient(at: parameters, on: batch, workspace: workspace)
    }
    // A call that was late for an earlier round may still have it; nobody waits for that.
    return try result ?? model.gradient(at: parameters, on: batch)
  }
}
