public import ByzRuntime

/// When a training run is written to a file, and to which.
public struct CheckpointPlan: Hashable, Sendable {
  /// The file; each checkpoint takes the place of the last, whole or not at all.
  public let path: String
  /// The rounds from one checkpoint to the next; at least 1.
  public let interval: Int

  /// A checkpoint every `interval` rounds.
  ///
  /// - Precondition: `interval` is at least 1.
  public init(path: String, every interval: Int) {
    precondition(interval >= 1, "The interval is \(interval), at least 1 is needed.")
    self.path = path
    self.interval = interval
  }
}

extension ParameterServer {
  /// Runs rounds until `total` are over, those before a resumption included, and keeps checkpoints.
  ///
  /// ```swift
  /// // A file that is damaged is an error, not a new beginning.
  /// if FileManager.default.fileExists(atPath: path) {
  ///   try server.resume(from: Checkpoint(contentsOf: path))
  /// }
  /// try await server.train(rounds: 200, on: pool, keeping: CheckpointPlan(path: path, every: 10))
  /// ```
  ///
  /// A run that is killed at any moment and resumed from its file ends with the same bits as one that never stopped, if timing
  /// decides nothing: without a deadline, or with the participants recorded.
  ///
  /// - Parameters:
  ///   - total: the rounds that shall be over in the end.
  ///   - pool: whose workers compute; the calling task if nil.
  ///   - plan: where checkpoints go; none are written if nil.
  ///   - isolation: the caller's, in which `body` runs.
  ///   - body: called after each round with its report and the server as it is then, before its checkpoint is written: what it keeps
  ///     is never behind the file.
  /// - Throws: as ``round(on:chunkSize:)``; what writing a checkpoint throws; what `body` throws. The rounds that are over stay. A call
  ///   that finds all rounds over writes the checkpoint, for one that could not be written.
  public mutating func train(
    rounds total: Int, on pool: ActorPool? = nil, keeping plan: CheckpointPlan? = nil,
    isolation: isolated (any Actor)? = #isolation,
    each body: (RoundReport, ParameterServer) async throws -> Void = { _, _ in }
  ) async throws {
    while roundsDone < total {
      let report = try await round(on: pool)
      try await body(report, self)
      if let plan, roundsDone % plan.interval == 0, roundsDone < total {
        try checkpoint.write(to: plan.path)
      }
    }
    if let plan { try checkpoint.write(to: plan.path) }
  }
}
