/// What an operator may use while it runs: a place for its subtasks.
public struct OperatorContext: Sendable {
  /// The node it runs for.
  public let nodeName: String
  /// Where subtasks go; nil for the calling task.
  public let pool: ActorPool?
  /// Where in the pool, and how many at once.
  public let options: SubtaskOptions
  /// How many columns a subtask should have, if the user has a wish. It may change how work is
  /// split, never what comes out.
  public let chunkSize: Int?

  /// A context; with the defaults, one that runs everything in the calling task.
  public init(
    nodeName: String = "", pool: ActorPool? = nil, options: SubtaskOptions = SubtaskOptions(),
    chunkSize: Int? = nil
  ) {
    self.nodeName = nodeName
    self.pool = pool
    self.options = options
    self.chunkSize = chunkSize
  }

  /// How many subtasks can run at once, once lost workers are replaced: 1 without a pool.
  public var workerCount: Int {
    pool.map { max(1, $0.expectedWorkerCount(offering: options.capability)) } ?? 1
  }

  /// Runs subtasks on the pool, or one after another in the calling task if there is none.
  ///
  /// - Returns: what each returned, in the order of `subtasks`.
  /// - Throws: the first error a subtask threw; `CancellationError` when the calling task is
  ///   cancelled; without a pool, ``RuntimeError/Code/noCapableWorker`` when more than
  ///   ``Capability/cpu`` is required; else as ``ActorPool/run(_:operands:options:)``.
  public func run<S: Subtask>(
    _ subtasks: [S], operands: Operands = Operands()
  ) async throws -> [S.Output] {
    if let pool {
      return try await pool.run(subtasks, operands: operands, options: options)
    }
    if let capability = options.capability, capability != .cpu {
      throw RuntimeError(
        .noCapableWorker, "\(nodeName) requires \(capability), and there is no pool.")
    }
    return try subtasks.map { subtask in
      try Task.checkCancellation()
      return try subtask.run(operands)
    }
  }
}
