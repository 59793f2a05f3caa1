package import ByzKit

extension Problem {
  /// Trains with a parameter server until the last round, or until the task is cancelled.
  ///
  /// - Parameter chunkSize: the columns that one subtask of a rule takes; changes scheduling only.
  package func trainWithServer(
    on workers: [WorkerConfiguration], chunkSize: Int? = nil, progress: ProgressDisplay
  ) async throws -> ServerReport {
    var server = try ParameterServer(
      honest: honest, byzantine: byzantine, aggregator: rule, optimizer: optimizer,
      parameters: parameters)
    let clock = ContinuousClock()
    let start = clock.now
    return try await withActorPool(workers, registry: .byzKit) { pool in
      var report: RoundReport?
      var stepsTaken = 0
      var accuracy = 0.0
      var wasStopped = false
      for round in 1...plan.rounds {
        do {
          let latest = try await server.round(on: pool, chunkSize: chunkSize)
          if latest.step == .taken { stepsTaken += 1 }
          report = latest
        } catch is CancellationError {
          wasStopped = true
          break
        }
        if plan.evalInterval > 0, round % plan.evalInterval == 0, round < plan.rounds {
          accuracy = try self.accuracy(at: server.parameters)
          progress.log(round: round, loss: report?.meanLoss, accuracy: accuracy)
        }
        progress.show(round: round)
      }
      accuracy = try self.accuracy(at: server.parameters)
      progress.log(round: server.roundsDone, loss: report?.meanLoss, accuracy: accuracy)
      return ServerReport(
        server: server, last: report, stepsTaken: stepsTaken, accuracy: accuracy,
        seconds: (clock.now - start).seconds, wasStopped: wasStopped)
    }
  }
}
