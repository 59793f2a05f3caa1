public import ByzTensor

/// A piece of an operator's work that any worker can run: a value that says what to do, never a closure.
///
/// A pool calls ``run(_:)`` once, or again on another worker if the first was lost, so running it twice must do the same as once.
/// It is `Codable` because the worker may live in another process or on another machine; the tensors it works on travel
/// beside it, as ``Operands``, not inside it.
public protocol Subtask: Codable, Sendable, VersionedOnWire {
  /// What it returns; small, since it travels too. Large results belong in ``Operands``' outputs.
  associatedtype Output: Codable & Sendable

  /// Does the work, synchronously, on the thread of one worker. Long work asks `Task.isCancelled` now and then.
  func run(_ operands: Operands) throws -> Output
}

/// The tensors that a set of subtasks reads and writes.
public struct Operands: Sendable {
  /// What the subtasks read.
  public let inputs: [AnyTensor]
  /// What lives with the workers, such as the nodes of a training run.
  public let residents: Residents
  /// The inputs as rows for the kernels, when an operator of this package set them.
  package let rows: Rows?
  /// The rows that subtasks write, each subtask its own columns.
  package let outputs: OutputRows?

  /// Operands that are only read.
  public init(inputs: [AnyTensor] = [], residents: Residents = Residents()) {
    self.inputs = inputs
    self.residents = residents
    rows = nil
    outputs = nil
  }

  /// Rows to read and, perhaps, rows to write.
  package init(rows: Rows, outputs: OutputRows? = nil) {
    inputs = []
    residents = Residents()
    self.rows = rows
    self.outputs = outputs
  }

  /// What a worker in another process was sent.
  package init(
    inputs: [AnyTensor], residents: Residents, rows: Rows?, outputs: OutputRows?
  ) {
    self.inputs = inputs
    self.residents = residents
    self.rows = rows
    self.outputs = outputs
  }

  /// Tensors to read, residents to ask and rows to write.
  package init(inputs: [AnyTensor], residents: Residents, outputs: OutputRows) {
    self.inputs = inputs
    self.residents = residents
    rows = nil
    self.outputs = outputs
  }
}
