extension ActorPool {
  /// Runs the subtasks on the workers.
  ///
  /// - Returns: what each returned, in the order of `subtasks`.
  /// - Throws: the first error a subtask threw, after the others have been cancelled and have
  ///   ended; `CancellationError` when the calling task is cancelled;
  ///   ``RuntimeError/Code/noCapableWorker``, at once, when no worker has the capability;
  ///   ``RuntimeError/Code/workerLost`` when a subtask has used up its attempts;
  ///   ``RuntimeError/Code/stopped``.
  public func run<S: Subtask>(
    _ subtasks: [S], operands: Operands = Operands(), options: SubtaskOptions = SubtaskOptions()
  ) async throws -> [S.Output] {
    guard !subtasks.isEmpty else { return [] }
    let (call, lanes) = dispatcher.withLock { $0.open(count: subtasks.count, options: options) }
    defer { dispatcher.withLock { $0.close(call) } }
    var outputs = [S.Output?](repeating: nil, count: subtasks.count)
    try await withTaskCancellationHandler {
      try await withThrowingTaskGroup(of: [(Int, S.Output)].self) { group in
        for _ in 0..<lanes {
          group.addTask { try await self.runLane(of: call, subtasks, operands) }
        }
        for try await part in group {
          for (index, output) in part { outputs[index] = output }
        }
      }
    } onCancel: {
      fail(call, with: CancellationError())
    }
    return outputs.map { $0! }
  }

  /// Runs subtasks of a call, one after another, until it has no more to begin.
  private func runLane<S: Subtask>(
    of call: Int, _ subtasks: [S], _ operands: Operands
  ) async throws -> [(Int, S.Output)] {
    var results: [(Int, S.Output)] = []
    while let first = try await next(call) {
      var following = Optional(first)
      // Ends when there is nothing for this lane at once.
      while let assignment = following {
        let (part, next) = try await runInARow(from: assignment, subtasks, operands)
        results += part
        following = next
      }
    }
    return results
  }

  /// Runs subtasks on one worker, without leaving its thread, for as long as it is given more of
  /// the same call.
  private func runInARow<S: Subtask>(
    from first: PoolState.Assignment, _ subtasks: [S], _ operands: Operands
  ) async throws -> (results: [(Int, S.Output)], next: PoolState.Assignment?) {
    let worker = workers[first.worker]
    return try await withTaskExecutorPreference(worker.executor) {
      var results: [(Int, S.Output)] = []
      var assignment = first
      while true {
        let start = ContinuousClock.now
        do {
          let output = try await worker.run(subtasks[assignment.subtask], operands: operands)
          results.append((assignment.subtask, output))
        } catch let error as RuntimeError where error.code == .workerLost {
          dispatcher.withLock { $0.handle(.workerLost(assignment.worker)) }.resume()
          return (results, nil)
        } catch {
          // Before anything else: the lanes that end because of this one report the same error, and
          // the worker is given nothing more of this call.
          fail(assignment.call, with: error)
          let outcome: PoolState.Outcome = error is CancellationError ? .cancelled : .failed
          _ = finish(assignment, outcome, since: start)
          // The first error of the call: another subtask may have thrown, or the caller been
          // cancelled, before this one threw.
          throw dispatcher.withLock { $0.failure(of: assignment.call) } ?? error
        }
        let next = finish(assignment, .completed, since: start)
        guard let next else { return (results, nil) }
        guard next.worker == assignment.worker else { return (results, next) }
        assignment = next
      }
    }
  }

  private func next(_ call: Int) async throws -> PoolState.Assignment? {
    try await withCheckedThrowingContinuation { lane in
      dispatcher.withLock { $0.next(call, for: lane) }.resume()
    }
  }

  private func finish(
    _ assignment: PoolState.Assignment, _ outcome: PoolState.Outcome,
    since start: ContinuousClock.Instant
  ) -> PoolState.Assignment? {
    let busy = ContinuousClock.now - start
    let (next, wakes) = dispatcher.withLock { $0.finish(assignment, outcome, busy: busy) }
    wakes.resume()
    return next
  }

  private func fail(_ call: Int, with error: any Error) {
    dispatcher.withLock { $0.fail(call, with: error) }.resume()
  }
}
