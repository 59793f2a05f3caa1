extension ActorPool {
  /// Runs the subtasks, and returns when enough have returned.
  ///
  /// All are waited for until the quorum's deadline; after it, the call returns as soon as `quorum`
  /// have returned. What is still running then is cancelled, and what it returns is ignored: a
  /// subtask on a thread may run on until it asks `Task.isCancelled`, on a worker that gets nothing
  /// else meanwhile, and so may one on a host; a child process has ``Liveness/timeout`` to end it, or is ended and
  /// replaced. One that writes to shared memory must write where nobody reads unless it
  /// returned in time.
  ///
  /// Which subtasks take part depends on time; so keep ``Gathering/participants`` where a run is to
  /// be repeated.
  ///
  /// - Parameters:
  ///   - subtasks: what to run.
  ///   - operands: what they read.
  ///   - options: where they may run.
  ///   - workers: names of workers or configurations: subtask i prefers number i, beginning again
  ///     after the last. None: as `options` say.
  ///   - quorum: how many must return, and how long all and any are waited for.
  /// - Returns: what came of each subtask, in their order.
  /// - Throws: ``RuntimeError/Code/quorumNotReached``, at once, when too many have failed, or when fewer have returned by the quorum's limit;
  ///   ``RuntimeError/Code/invalidConfiguration`` for a quorum that is negative or above the number
  ///   of subtasks; ``RuntimeError/Code/stopped``; `CancellationError` when the calling task is
  ///   cancelled, without waiting for subtasks that run on.
  public func gather<S: Subtask>(
    _ subtasks: [S], operands: Operands = Operands(), options: SubtaskOptions = SubtaskOptions(),
    preferring workers: [String] = [], until quorum: Quorum
  ) async throws -> Gathering<S.Output> {
    try await collect(
      subtasks, operands: operands, options: options, preferring: workers, until: quorum
    ).checked(for: quorum)
  }

  /// The same, with fewer than a quorum where no more can return in time.
  package func collect<S: Subtask>(
    _ subtasks: [S], operands: Operands, options: SubtaskOptions, preferring workers: [String] = [],
    until quorum: Quorum
  ) async throws -> Gathering<S.Output> {
    try quorum.validate(for: subtasks.count)
    guard !subtasks.isEmpty else { return Gathering(outcomes: []) }
    let promise = Promise<Gathering<S.Output>>()
    // The pool's own task does not inherit it.
    let deadline = CallDeadline.current
    let isBegun = background.add {
      await CallDeadline.$current.withValue(deadline) {
        await self.gather(subtasks, operands, options, workers, quorum, into: promise)
      }
    }
    guard isBegun else { throw RuntimeError(.stopped, "The pool has been stopped.") }
    return try await withTaskCancellationHandler {
      try await promise.result.get()
    } onCancel: {
      promise.settle(.failure(CancellationError()))
    }
  }

  private enum Arrival<Output: Sendable>: Sendable {
    case ended(Int, Result<Output, any Error>)
    case passed(GatherState.Event)
    case settled
  }

  /// Settles the promise as soon as the quorum allows, and returns when every subtask has ended.
  private func gather<S: Subtask>(
    _ subtasks: [S], _ operands: Operands, _ options: SubtaskOptions, _ workers: [String],
    _ quorum: Quorum, into promise: Promise<Gathering<S.Output>>
  ) async {
    var state = GatherState(count: subtasks.count, quorum: quorum.count)
    var outcomes = [Gathering<S.Output>.Outcome](repeating: .late, count: subtasks.count)
    // One call each: one that fails must not end the others.
    let one: @Sendable (Int) async -> Arrival<S.Output> = { index in
      var options = options
      if !workers.isEmpty { options.affinity = workers[index % workers.count] }
      do {
        let output = try await self.run([subtasks[index]], operands: operands, options: options)
        return .ended(index, .success(output[0]))
      } catch {
        return .ended(index, .failure(error))
      }
    }
    await withTaskGroup(of: Arrival<S.Output>.self) { group in
      var begun = min(subtasks.count, max(1, options.maxInFlight ?? .max))
      for index in 0..<begun { group.addTask { await one(index) } }
      for (time, event) in quorum.times {
        group.addTask {
          do {
            try await self.clock.sleep(time)
            return .passed(event)
          } catch {
            // All is over, and this settles nothing; or the pool's own task is cancelled.
            promise.settle(.failure(CancellationError()))
            return .settled
          }
        }
      }
      group.addTask {
        // The pool's own task may be cancelled, and the caller not.
        await withTaskCancellationHandler {
          _ = await promise.result
        } onCancel: {
          promise.settle(.failure(CancellationError()))
        }
        return .settled
      }
      for await arrival in group {
        let isOver: Bool
        switch arrival {
        case .ended(let index, .success(let output)):
          outcomes[index] = .returned(output)
          isOver = state.handle(.returned)
        case .ended(let index, .failure(let error)):
          outcomes[index] = .failed(error)
          let isHopeless = state.handle(.failed)
          // It is the end of the pool that makes subtasks fail then; this task is cancelled a little later, if `body` still runs.
          let isCancelled = dispatcher.withLock { $0.isCancelled } || Task.isCancelled
          if isCancelled { promise.settle(.failure(CancellationError())) }
          isOver = isHopeless || isCancelled
        case .passed(let event): isOver = state.handle(event)
        case .settled: isOver = true
        }
        if case .ended = arrival, begun < subtasks.count, !isOver, !group.isCancelled {
          let index = begun
          begun += 1
          group.addTask { await one(index) }
        }
        if isOver {
          promise.settle(.success(Gathering(outcomes: outcomes)))
          group.cancelAll()
        }
      }
    }
  }
}

extension Quorum {
  /// When something happens by itself.
  fileprivate var times: [(time: Duration, event: GatherState.Event)] {
    [(deadline, .deadlinePassed), (limit, .limitPassed)].compactMap { time, event in
      time.map { ($0, event) }
    }
  }
}

extension OperatorContext {
  /// Gathers on the pool, or one subtask after another in the calling task if there is none; the
  /// rest is late when the deadline has passed and the quorum is reached, or the limit has.
  ///
  /// - Throws: as ``ActorPool/gather(_:operands:options:preferring:until:)``, but returns fewer than
  ///   a quorum where no more can return in time.
  package func collect<S: Subtask>(
    _ subtasks: [S], operands: Operands, preferring workers: [String] = [], until quorum: Quorum
  ) async throws -> Gathering<S.Output> {
    if let pool {
      return try await pool.collect(
        subtasks, operands: operands, options: options, preferring: workers, until: quorum)
    }
    try quorum.validate(for: subtasks.count)
    let start = ContinuousClock.now
    var state = GatherState(count: subtasks.count, quorum: quorum.count)
    var outcomes = [Gathering<S.Output>.Outcome](repeating: .late, count: subtasks.count)
    for (index, subtask) in subtasks.enumerated() {
      try Task.checkCancellation()
      var isOver: Bool
      do {
        outcomes[index] = .returned(try subtask.run(operands))
        isOver = state.handle(.returned)
      } catch {
        // A subtask that has noticed it has not failed.
        try Task.checkCancellation()
        outcomes[index] = .failed(error)
        isOver = state.handle(.failed)
      }
      let passed = quorum.times.filter { ContinuousClock.now - start >= $0.time }
      for (_, event) in passed where !isOver { isOver = state.handle(event) }
      if isOver { break }
    }
    return Gathering(outcomes: outcomes)
  }
}
