/// What a pool knows and decides, without threads, clocks or suspension: an event goes in,
/// directives come out.
///
/// A worker has at most one subtask at a time, so the pool never has more work in flight than
/// workers, a subtask never waits behind another while a worker is idle, and what has not begun can
/// be withdrawn. Calls take turns: each time a worker is free the call that has waited longest
/// begins one subtask and goes to the end of the line.
package struct PoolState {
  /// One subtask of one call on one worker.
  package struct Assignment: Hashable {
    package let call: Int
    package let subtask: Int
    package let worker: Int

    package init(call: Int, subtask: Int, worker: Int) {
      self.call = call
      self.subtask = subtask
      self.worker = worker
    }
  }

  package enum Event {
    /// A call brings `count` subtasks.
    case submitted(call: Int, count: Int, SubtaskOptions)
    /// A worker is done with its subtask.
    case finished(worker: Int, Outcome, busy: Duration)
    /// A worker is gone, with the subtask it had if it had one.
    case workerLost(Int)
    /// A call wants none of its subtasks begun any more.
    case withdrawn(call: Int)
    /// No subtask is to begin any more.
    case stopped
  }

  package enum Outcome {
    case completed
    case failed
    /// It ended early, or never began, because its call did.
    case cancelled
  }

  package enum Directive: Hashable {
    case run(Assignment)
    case fail(call: Int, Failure)
  }

  package enum Failure: Hashable {
    case noCapableWorker(Capability?)
    case lost(subtask: Int, attempts: Int)
    case stopped
  }

  package struct Worker {
    package let name: String
    /// The configuration it comes from.
    package let group: String
    package let capabilities: Set<Capability>
    fileprivate(set) var status = Status.idle
    package fileprivate(set) var completed = 0
    package fileprivate(set) var failed = 0
    package fileprivate(set) var busyTime = Duration.zero

    package enum Status: Hashable {
      case idle
      case busy(Assignment)
      case lost
    }

    package init(name: String, group: String, capabilities: Set<Capability>) {
      self.name = name
      self.group = group
      self.capabilities = capabilities
    }

    package func offers(_ capability: Capability?) -> Bool {
      capability.map(capabilities.contains) ?? true
    }
  }

  private struct Call {
    let options: SubtaskOptions
    let count: Int
    var next = 0
    /// Subtasks whose worker was lost; they go first.
    var again: [Int] = []
    var losses: [Int: Int] = [:]
    var inFlight = 0
    var isWithdrawn = false

    var hasWaiting: Bool { next < count || !again.isEmpty }
    var mayBegin: Bool { inFlight < max(1, options.maxInFlight ?? .max) }

    mutating func withdraw() {
      next = count
      again = []
      isWithdrawn = true
    }

    mutating func begin() -> Int {
      inFlight += 1
      if !again.isEmpty { return again.removeFirst() }
      next += 1
      return next - 1
    }
  }

  package private(set) var workers: [Worker]
  private var idleCount: Int
  /// The calls that have not finished.
  private var calls: [Int: Call] = [:]
  /// The calls with subtasks that have not begun, whose turn is next first.
  private var turns: [Int] = []
  private var isStopped = false

  package init(workers: [Worker]) {
    self.workers = workers
    idleCount = workers.count
  }

  /// Whether a call has subtasks that have not begun.
  package func hasWaiting(_ call: Int) -> Bool { calls[call]?.hasWaiting ?? false }

  /// How many workers that are not lost have the capability.
  package func workerCount(offering capability: Capability?) -> Int {
    workers.count { $0.status != .lost && $0.offers(capability) }
  }

  package mutating func handle(_ event: Event) -> [Directive] {
    switch event {
    case .submitted(let call, let count, let options): return submit(call, count, options)
    case .finished(let worker, let outcome, let busy): return finish(worker, outcome, busy)
    case .workerLost(let worker): return lose(worker)
    case .stopped: return stop()
    case .withdrawn(let call):
      withdraw(call)
      return []
    }
  }
}

// MARK: - Events

extension PoolState {
  private mutating func submit(_ id: Int, _ count: Int, _ options: SubtaskOptions) -> [Directive] {
    guard !isStopped else { return [.fail(call: id, .stopped)] }
    guard workerCount(offering: options.capability) > 0 else {
      return [.fail(call: id, .noCapableWorker(options.capability))]
    }
    guard count > 0 else { return [] }
    calls[id] = Call(options: options, count: count)
    turns.append(id)
    return assign()
  }

  private mutating func finish(_ worker: Int, _ outcome: Outcome, _ busy: Duration) -> [Directive] {
    // A worker that was lost meanwhile has handed its subtask on already.
    guard case .busy(let done) = workers[worker].status else { return [] }
    workers[worker].status = .idle
    workers[worker].busyTime += busy
    idleCount += 1
    switch outcome {
    case .completed: workers[worker].completed += 1
    case .failed: workers[worker].failed += 1
    case .cancelled: break
    }
    calls[done.call]?.inFlight -= 1
    forgetIfDone(done.call)
    return assign()
  }

  private mutating func lose(_ worker: Int) -> [Directive] {
    var directives: [Directive] = []
    let status = workers[worker].status
    workers[worker].status = .lost
    switch status {
    case .lost: return []
    case .idle: idleCount -= 1
    case .busy(let assignment): directives += requeue(assignment)
    }
    for id in turns {
      let needed = calls[id]?.options.capability
      if workerCount(offering: needed) == 0 { directives += fail(id, .noCapableWorker(needed)) }
    }
    return directives + assign()
  }

  private mutating func requeue(_ lost: Assignment) -> [Directive] {
    let (id, subtask) = (lost.call, lost.subtask)
    guard var call = calls[id] else { return [] }
    call.inFlight -= 1
    call.losses[subtask, default: 0] += 1
    let attempts = call.losses[subtask, default: 0]
    let isWithdrawn = call.isWithdrawn
    if !isWithdrawn { call.again.append(subtask) }
    calls[id] = call
    if isWithdrawn {
      forgetIfDone(id)
      return []
    }
    if attempts >= call.options.maxAttempts {
      return fail(id, .lost(subtask: subtask, attempts: attempts))
    }
    // It has waited its turn once.
    turns.removeAll { $0 == id }
    turns.insert(id, at: 0)
    return []
  }

  private mutating func fail(_ id: Int, _ failure: Failure) -> [Directive] {
    withdraw(id)
    return [.fail(call: id, failure)]
  }

  private mutating func withdraw(_ id: Int) {
    turns.removeAll { $0 == id }
    calls[id]?.withdraw()
    forgetIfDone(id)
  }

  private mutating func stop() -> [Directive] {
    isStopped = true
    return turns.flatMap { fail($0, .stopped) }
  }

  private mutating func forgetIfDone(_ id: Int) {
    if let call = calls[id], call.inFlight == 0, !call.hasWaiting { calls[id] = nil }
  }
}

// MARK: - Decisions

extension PoolState {
  /// Gives idle workers to the calls in turn.
  private mutating func assign() -> [Directive] {
    var directives: [Directive] = []
    var turn = 0
    while turn < turns.count, idleCount > 0 {
      let id = turns[turn]
      guard let call = calls[id], call.mayBegin, let worker = idleWorker(for: call.options) else {
        turn += 1
        continue
      }
      let assignment = Assignment(call: id, subtask: calls[id]!.begin(), worker: worker)
      workers[worker].status = .busy(assignment)
      idleCount -= 1
      turns.remove(at: turn)
      if hasWaiting(id) { turns.append(id) }
      directives.append(.run(assignment))
    }
    return directives
  }

  /// The idle worker that the options prefer, else the first idle one that will do.
  private func idleWorker(for options: SubtaskOptions) -> Int? {
    let fitting = workers.indices.lazy.filter {
      workers[$0].status == .idle && workers[$0].offers(options.capability)
    }
    guard let wish = options.affinity else { return fitting.first }
    return fitting.first { workers[$0].name == wish || workers[$0].group == wish } ?? fitting.first
  }
}
