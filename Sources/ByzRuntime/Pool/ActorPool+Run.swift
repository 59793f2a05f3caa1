extension ActorPool {
  /// Runs the subtasks on the workers.
  ///
  /// - Returns: what each returned, in the order of `subtasks`.
  /// - Throws: the first error a subtask threw, after the others have been cancelled and have
  ///   ended, or their child process has; `CancellationError` when the calling task or the pool's is cancelled;
  ///   ``RuntimeError/Code/noCapableWorker``, at once, when no worker has the capability;
  ///   ``RuntimeError/Code/workerLost`` when a subtask has used up its attempts;
  ///   ``RuntimeError/Code/deadlineExceeded`` when one took longer than ``SubtaskOptions/timeout``;
  ///   ``RuntimeError/Code/stopped``.
  public func run<S: Subtask>(
    _ subtasks: [S], operands: Operands = Operands(), options: SubtaskOptions = SubtaskOptions()
  ) async throws -> [S.Output] {
    guard !subtasks.isEmpty else { return [] }
    let (call, lanes, wakes) = dispatcher.withLock {
      $0.open(count: subtasks.count, options: options)
    }
    defer { dispatcher.withLock { $0.close(call) } }
    carryOut(wakes)
    var outputs = [S.Output?](repeating: nil, count: subtasks.count)
    try await withTaskCancellationHandler {
      try await withThrowingTaskGroup(of: LaneStep<S.Output>.self) { group in
        func proceed(with assignment: PoolState.Assignment?) {
          guard let assignment else {
            group.addImmediateTask { .given(try await self.next(call)) }
            return
          }
          guard let worker = dispatcher.withLock({ $0.worker(for: assignment) }) else {
            // The call has failed, or the worker was lost: it is given back, or counts no more.
            return proceed(with: finish(assignment, .cancelled, since: .now))
          }
          let isWatched = options.timeout != nil && !worker.endsOverdueSubtasks
          let run: @Sendable () async throws -> LaneStep<S.Output> = {
            try await self.runInARow(
              from: assignment, on: worker, isWatched: isWatched, subtasks, operands, options)
          }
          // Begun where it runs: each thread that has to be woken on the way costs more than a small subtask. Whoever watches a
          // thread must not need that thread.
          if let executor = worker.executor, !isWatched {
            group.addTask(executorPreference: executor, operation: run)
          } else {
            group.addImmediateTask(operation: run)
          }
        }
        for first in lanes { proceed(with: first) }
        // To the end, also after a failure: a worker that a lane was given is given back.
        var failure: (any Error)?
        while let step = await group.nextResult() {
          switch step {
          case .success(.ran(let results, let following)):
            for (index, output) in results { outputs[index] = output }
            proceed(with: following)
          case .success(.given(let assignment?)): proceed(with: assignment)
          case .success(.given(nil)): break
          case .failure(let error):
            if failure == nil { group.cancelAll() }
            failure = failure ?? error
          }
        }
        if let failure { throw failure }
      }
    } onCancel: {
      fail(call, with: CancellationError())
    }
    return outputs.map { $0! }
  }

  /// What one task of a lane came to.
  private enum LaneStep<Output: Sendable>: Sendable {
    /// It ran subtasks of one worker and was given one of another, or has to ask for one.
    case ran([(Int, Output)], following: PoolState.Assignment?)
    /// It has waited for a subtask; there is none when the call has no more to begin.
    case given(PoolState.Assignment?)
  }

  /// Runs subtasks on one worker, without leaving its thread, for as long as it is given more of
  /// the same call.
  private func runInARow<S: Subtask>(
    from first: PoolState.Assignment, on worker: any Worker, isWatched: Bool, _ subtasks: [S],
    _ operands: Operands, _ options: SubtaskOptions
  ) async throws -> LaneStep<S.Output> {
    var results: [(Int, S.Output)] = []
    var assignment = first
    while true {
      let start = ContinuousClock.now
      do {
        try Task.checkCancellation()
        let subtask = subtasks[assignment.subtask]
        let output =
          isWatched
          ? try await watch(assignment, subtask, on: worker, operands, options)
          : try await worker.run(subtask, operands: operands, timeout: options.timeout)
        results.append((assignment.subtask, output))
      } catch let error as RuntimeError where error.code == .workerLost {
        lose(assignment, because: error)
        return .ran(results, following: nil)
      } catch let overdue as Abandoned {
        // The worker is still busy; whoever waits for it says when it is not.
        fail(assignment.call, with: overdue.reason)
        throw dispatcher.withLock { $0.failure(of: assignment.call) } ?? overdue.reason
      } catch let error as RuntimeError
        where error.code == .deadlineExceeded && worker.endsOverdueSubtasks
      {
        fail(assignment.call, with: error)
        release(assignment, of: worker, since: start)
        throw dispatcher.withLock { $0.failure(of: assignment.call) } ?? error
      } catch {
        let error = (error as? SubtaskLoss)?.error ?? error
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
      guard let next, next.worker == assignment.worker, next.epoch == assignment.epoch else {
        return .ran(results, following: next)
      }
      assignment = next
    }
  }

  private func next(_ call: Int) async throws -> PoolState.Assignment? {
    try await withCheckedThrowingContinuation { lane in
      carryOut(dispatcher.withLock { $0.next(call, for: lane) })
    }
  }

  private func finish(
    _ assignment: PoolState.Assignment, _ outcome: PoolState.Outcome,
    since start: ContinuousClock.Instant
  ) -> PoolState.Assignment? {
    let busy = ContinuousClock.now - start
    let (next, wakes) = dispatcher.withLock { $0.finish(assignment, outcome, busy: busy) }
    carryOut(wakes)
    return next
  }

  /// Takes note that a subtask has failed once its worker has ended it, too.
  private func release(
    _ assignment: PoolState.Assignment, of worker: any Worker,
    since start: ContinuousClock.Instant
  ) {
    // Where the scope is ending, nothing else is given to the worker.
    _ = background.add {
      await worker.waitUntilFree()
      _ = self.finish(assignment, .failed, since: start)
    }
  }

  private func fail(_ call: Int, with error: any Error) {
    carryOut(dispatcher.withLock { $0.fail(call, with: error) })
  }

  private func lose(_ assignment: PoolState.Assignment, because reason: any Error) {
    carryOut(dispatcher.withLock { $0.lose(assignment, because: reason) })
  }

  /// Takes note when a worker is lost, also one that has nothing to do: work must not be what finds that out.
  func watch(_ worker: any Worker, at index: Int, epoch: UInt32) {
    worker.whenLost { [weak self] in
      guard let self else { return }
      carryOut(dispatcher.withLock { $0.handle(.workerEnded(index, epoch: epoch)) })
    }
  }
}

// MARK: - Time limits

/// Why a lane no longer waits for a subtask that its worker still has.
private struct Abandoned: Error {
  let reason: any Error
}

extension ActorPool {
  /// Runs a subtask as a child of the pool rather than of the caller, so that the caller can stop
  /// waiting for it.
  private func watch<S: Subtask>(
    _ assignment: PoolState.Assignment, _ subtask: S, on worker: any Worker, _ operands: Operands,
    _ options: SubtaskOptions
  ) async throws -> S.Output {
    let timeout = options.timeout ?? .zero
    let promise = Promise<S.Output>()
    let isBegun = background.add {
      await withDiscardingTaskGroup { group in
        group.addTask {
          let start = ContinuousClock.now
          let result: Result<S.Output, any Error>
          do {
            result = .success(try await worker.run(subtask, operands: operands, timeout: timeout))
          } catch {
            result = .failure(error)
          }
          // Cancelled with the pool's own task, it may have returned what it had.
          let answer = Task.isCancelled ? .failure(CancellationError()) : result
          guard !promise.settle(answer) else { return }
          // Whoever stopped waiting may not have said so yet. Before that, the worker would be given a subtask more of this call, which
          // nobody would run.
          if case .failure(let abandoned as Abandoned) = await promise.result {
            self.fail(assignment.call, with: abandoned.reason)
          }
          self.end(assignment, result, since: start)
        }
        group.addTask {
          let reason: any Error
          do {
            try await self.clock.sleep(timeout)
            reason = RuntimeError(
              .deadlineExceeded, "Subtask \(assignment.subtask) took longer than \(timeout).")
          } catch {
            // The subtask has ended before, and this settles nothing; or the pool's own task was cancelled, and nobody keeps the time.
            reason = error
          }
          promise.settle(.failure(Abandoned(reason: reason)))
        }
        _ = await promise.result
        group.cancelAll()
      }
    }
    guard isBegun else { throw RuntimeError(.stopped, "The pool has been stopped.") }
    return try await withTaskCancellationHandler {
      try await promise.result.get()
    } onCancel: {
      promise.settle(.failure(Abandoned(reason: CancellationError())))
    }
  }

  /// Takes note that a worker is done with a subtask that nobody waits for.
  private func end<Output>(
    _ assignment: PoolState.Assignment, _ result: Result<Output, any Error>,
    since start: ContinuousClock.Instant
  ) {
    switch result {
    case .failure(let error as RuntimeError) where error.code == .workerLost:
      lose(assignment, because: error)
    case .failure(is CancellationError): _ = finish(assignment, .cancelled, since: start)
    case .success, .failure: _ = finish(assignment, .failed, since: start)
    }
  }
}
