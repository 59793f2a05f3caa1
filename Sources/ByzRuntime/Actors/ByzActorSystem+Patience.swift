extension ByzActorSystem {
  /// Closes the connections to processes that are not waited for any longer; calls under way to them throw `workerLost`.
  package func endConnections(to hosts: [UInt64], because reason: String) {
    for host in hosts { connection(to: host)?.link.close(RuntimeError(.workerLost, reason)) }
  }

  /// The processes that were asked for an actor.
  package var spawningHosts: [UInt64] { state.withLock { Array($0.spawning.keys) } }

  /// Runs `body`. When the calling task is cancelled meanwhile, the connections to the processes that `hosts` names are closed after
  /// ``Liveness/timeout`` and `limit`, how long what they do may take: a call waits for its answer though it is cancelled, and one that
  /// pings need not answer.
  package func endingConnectionsWhenCancelled<Result>(
    after limit: Duration, to hosts: @escaping @Sendable () -> [UInt64],
    isolation: isolated (any Actor)? = #isolation,
    during body: () async throws -> Result
  ) async rethrows -> Result {
    let limit = liveness.timeout + limit
    let patience = Deadline(after: limit) {
      // Ending a process takes a while, and the thread that keeps the time has others waiting.
      Task.detached { [self] in
        endConnections(
          to: hosts(), because: "Who asked was cancelled, and there was no answer within \(limit).")
      }
    }
    defer { patience.clear() }
    return try await withTaskCancellationHandler {
      try await body()
    } onCancel: {
      patience.set()
    }
  }
}
