/// Hands the directives of a ``PoolState`` to the lanes that wait for them. Guarded by the pool's
/// lock.
///
/// A lane of a call has one subtask at a time, runs it or waits for one. Each call has as many
/// lanes as it may have subtasks in flight, so every subtask that the state assigns finds one.
struct PoolDispatcher: Sendable {
  typealias Waiting = CheckedContinuation<PoolState.Assignment?, any Error>

  /// What to do once the lock is released: lanes to wake, and workers to replace.
  struct Wakes {
    fileprivate var entries: [(Waiting, Result<PoolState.Assignment?, any Error>)] = []
    fileprivate(set) var replacements: [Int] = []

    func resumeLanes() {
      for (lane, result) in entries { lane.resume(with: result) }
    }

    fileprivate mutating func add(_ other: Wakes) {
      entries += other.entries
      replacements += other.replacements
    }
  }

  private struct Call {
    /// Assigned, and not yet taken by a lane.
    var ready: [PoolState.Assignment] = []
    var waiting: [Waiting] = []
    var failure: (any Error)?
    /// How a worker was lost with a subtask of this call.
    var lastLoss: (any Error)?
  }

  private(set) var state: PoolState
  /// Who does the work now, in the order of the state's workers.
  private(set) var workers: [any Worker]
  private var calls: [Int: Call] = [:]
  private var nextCall = 0
  /// Whether the pool's own task was.
  private(set) var isCancelled = false

  init(state: PoolState, workers: [any Worker]) {
    self.state = state
    self.workers = workers
  }

  /// Puts a new worker in a lost one's place.
  mutating func replace(_ index: Int, by worker: any Worker, epoch: UInt32) -> Wakes {
    workers[index] = worker
    return handle(.workerReplaced(index, epoch: epoch))
  }

  /// Takes in a call.
  ///
  /// - Returns: its number, and its lanes: with what each begins, nil for one that has to wait; workers to replace for it.
  mutating func open(
    count: Int, options: SubtaskOptions
  ) -> (call: Int, lanes: [PoolState.Assignment?], wakes: Wakes) {
    let call = nextCall
    nextCall += 1
    calls[call] = Call()
    guard !isCancelled else { return (call, [nil], fail(call, with: CancellationError())) }
    let wakes = handle(.submitted(call: call, count: count, options))
    let workers = state.expectedWorkerCount(offering: options.capability)
    let lanes = max(1, min(count, workers, options.maxInFlight ?? .max))
    return (call, (0..<lanes).map { _ in takeReady(call) }, wakes)
  }

  /// Who is to run an assignment; nil when its call has failed or its worker was lost.
  func worker(for assignment: PoolState.Assignment) -> (any Worker)? {
    guard failure(of: assignment.call) == nil, state.isRunning(assignment) else { return nil }
    return workers[assignment.worker]
  }

  mutating func close(_ call: Int) {
    calls[call] = nil
  }

  /// Gives a lane its next subtask, or nil when its call has no more to begin; keeps it waiting if
  /// it must.
  mutating func next(_ call: Int, for lane: Waiting) -> Wakes {
    var wakes = Wakes()
    if let failure = calls[call]?.failure {
      wakes.entries = [(lane, .failure(failure))]
    } else if let assignment = takeReady(call) {
      wakes.entries = [(lane, .success(assignment))]
    } else if !state.hasWaiting(call) {
      wakes.entries = [(lane, .success(nil))]
    } else {
      calls[call]?.waiting.append(lane)
    }
    return wakes
  }

  /// Takes note that a lane's subtask is done, and gives the lane another at once if its call has
  /// one to begin.
  mutating func finish(
    _ done: PoolState.Assignment, _ outcome: PoolState.Outcome, busy: Duration
  ) -> (next: PoolState.Assignment?, wakes: Wakes) {
    var wakes = Wakes()
    let event = PoolState.Event.finished(done, outcome, busy: busy)
    let touched = distribute(state.handle(event), &wakes)
    // Before any lane that waits: this one is awake, and on the worker's thread.
    let next = takeReady(done.call)
    wakeLanes(of: touched, &wakes)
    return (next, wakes)
  }

  /// Ends a call early: what has not begun is withdrawn, and its lanes get `error`.
  mutating func fail(_ call: Int, with error: any Error) -> Wakes {
    var wakes = handle(.withdrawn(call: call))
    guard let record = calls[call], record.failure == nil else { return wakes }
    calls[call] = Call(failure: error)
    wakes.entries += record.waiting.map { ($0, .failure(error)) }
    for assignment in record.ready {
      wakes.add(handle(.finished(assignment, .cancelled, busy: .zero)))
    }
    return wakes
  }

  /// Ends every call early, and each that comes later.
  mutating func cancel() -> Wakes {
    isCancelled = true
    var wakes = Wakes()
    for call in calls.keys { wakes.add(fail(call, with: CancellationError())) }
    return wakes
  }

  /// Takes note that a worker is lost with its subtask.
  mutating func lose(_ assignment: PoolState.Assignment, because reason: any Error) -> Wakes {
    calls[assignment.call]?.lastLoss = reason
    return handle(.workerLost(assignment.worker, epoch: assignment.epoch))
  }

  /// Why a call ended early, if it did.
  func failure(of call: Int) -> (any Error)? { calls[call]?.failure }

  /// Tells the state and passes on what it decides.
  mutating func handle(_ event: PoolState.Event) -> Wakes {
    var wakes = Wakes()
    let touched = distribute(state.handle(event), &wakes)
    wakeLanes(of: touched, &wakes)
    return wakes
  }

  /// Files assignments under their calls, and returns those calls.
  private mutating func distribute(
    _ directives: [PoolState.Directive], _ wakes: inout Wakes
  ) -> [Int] {
    var touched: [Int] = []
    for directive in directives {
      switch directive {
      case .run(let assignment):
        calls[assignment.call]?.ready.append(assignment)
        touched.append(assignment.call)
      case .fail(let call, let failure):
        wakes.add(fail(call, with: RuntimeError(failure, lastLoss: calls[call]?.lastLoss)))
      case .replace(let worker): wakes.replacements.append(worker)
      }
    }
    return touched
  }

  private mutating func wakeLanes(of touched: [Int], _ wakes: inout Wakes) {
    for id in touched {
      while calls[id]?.waiting.isEmpty == false, let assignment = takeReady(id) {
        wakes.entries.append((calls[id]!.waiting.removeFirst(), .success(assignment)))
      }
      // Nothing is left for the others to wait for.
      guard !state.hasWaiting(id), let idle = calls[id]?.waiting, !idle.isEmpty else { continue }
      calls[id]?.waiting = []
      wakes.entries += idle.map { ($0, .success(nil)) }
    }
  }

  private mutating func takeReady(_ call: Int) -> PoolState.Assignment? {
    guard let ready = calls[call]?.ready, !ready.isEmpty else { return nil }
    return calls[call]?.ready.removeFirst()
  }
}

extension RuntimeError {
  fileprivate init(_ failure: PoolState.Failure, lastLoss: (any Error)?) {
    switch failure {
    case .noCapableWorker(let capability?):
      self.init(
        .noCapableWorker, "No worker of the pool has the capability \(capability).",
        cause: lastLoss)
    case .noCapableWorker(nil):
      self.init(.noCapableWorker, "No worker of the pool is left.", cause: lastLoss)
    case .lost(let subtask, let attempts):
      self.init(
        .workerLost, "Subtask \(subtask) lost its worker \(attempts) times.", cause: lastLoss)
    case .stopped:
      self.init(.stopped, "The pool has been stopped.")
    }
  }
}
