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
    /// Which life of the worker: what an earlier one still reports is ignored.
    package let epoch: UInt32

    package init(call: Int, subtask: Int, worker: Int, epoch: UInt32 = 0) {
      self.call = call
      self.subtask = subtask
      self.worker = worker
      self.epoch = epoch
    }
  }

  package enum Event {
    /// A call brings `count` subtasks.
    case submitted(call: Int, count: Int, SubtaskOptions)
    /// A worker is done with its subtask.
    case finished(Assignment, Outcome, busy: Duration)
    /// A worker is gone in one of its lives, with the subtask it had if it had one.
    case workerLost(Int, epoch: UInt32)
    /// A worker is gone in one of its lives. If it has a subtask, it may have answered before: whoever waits for it says so.
    case workerEnded(Int, epoch: UInt32)
    /// A new worker stands in a lost one's place, in a new life.
    case workerReplaced(Int, epoch: UInt32)
    /// A lost worker stays lost.
    case workerGivenUp(Int)
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
    /// Make a new worker in this one's place; the answer is `workerReplaced` or `workerGivenUp`.
    case replace(worker: Int)
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
    /// Whether another is made in its place when it is lost.
    package let isReplaceable: Bool
    package fileprivate(set) var status = Status.idle
    package fileprivate(set) var epoch: UInt32 = 0
    /// Whether it is gone, though it is not known yet what became of its subtask.
    fileprivate var hasEnded = false
    package fileprivate(set) var losses = 0
    /// With how many of its losses a subtask was lost.
    package fileprivate(set) var lostSubtasks = 0
    package fileprivate(set) var restarts = 0
    package fileprivate(set) var completed = 0
    package fileprivate(set) var failed = 0
    package fileprivate(set) var busyTime = Duration.zero

    package enum Status: Hashable {
      case idle
      case busy(Assignment)
      /// Gone while it had nothing to do; another is made in its place when work waits for one like it.
      case ended
      /// Lost, and another is being made in its place.
      case replacing
      case lost
    }

    package init(
      name: String, group: String, capabilities: Set<Capability>, isReplaceable: Bool = false
    ) {
      self.name = name
      self.group = group
      self.capabilities = capabilities
      self.isReplaceable = isReplaceable
    }

    /// Whether it can be given work, now or when it is done.
    package var isPresent: Bool {
      switch status {
      case .idle, .busy: true
      case .ended, .replacing, .lost: false
      }
    }

    package var isBusy: Bool { if case .busy = status { true } else { false } }

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
  /// How many workers have ended with nothing to do, and are not being replaced.
  private var endedCount = 0
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

  /// Whether a worker has this subtask now.
  package func isRunning(_ assignment: Assignment) -> Bool {
    workers[assignment.worker].status == .busy(assignment)
  }

  /// How many workers that are not lost have the capability.
  package func workerCount(offering capability: Capability?) -> Int {
    workers.count { $0.isPresent && $0.offers(capability) }
  }

  /// The same with the lost ones that are being replaced: how many there may be again.
  package func expectedWorkerCount(offering capability: Capability?) -> Int {
    workers.count { $0.status != .lost && $0.offers(capability) }
  }

  package mutating func handle(_ event: Event) -> [Directive] {
    switch event {
    case .submitted(let call, let count, let options): return submit(call, count, options)
    case .finished(let done, let outcome, let busy): return finish(done, outcome, busy)
    case .workerLost(let worker, let epoch): return lose(worker, epoch)
    case .workerEnded(let worker, let epoch): return end(worker, epoch)
    case .workerReplaced(let worker, let epoch): return replace(worker, epoch)
    case .workerGivenUp(let worker): return giveUp(worker)
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
    guard expectedWorkerCount(offering: options.capability) > 0 else {
      return [.fail(call: id, .noCapableWorker(options.capability))]
    }
    guard count > 0 else { return [] }
    calls[id] = Call(options: options, count: count)
    turns.append(id)
    return assign()
  }

  private mutating func finish(
    _ done: Assignment, _ outcome: Outcome, _ busy: Duration
  ) -> [Directive] {
    let worker = done.worker
    // A worker that was lost meanwhile has handed its subtask on already.
    guard workers[worker].status == .busy(done) else { return [] }
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
    return workers[worker].hasEnded ? end(worker, done.epoch) : assign()
  }

  private mutating func end(_ worker: Int, _ epoch: UInt32) -> [Directive] {
    guard workers[worker].isPresent, workers[worker].epoch == epoch else { return [] }
    guard workers[worker].status == .idle else {
      workers[worker].hasEnded = true
      return []
    }
    // At the end of the pool they all go.
    guard !isStopped else { return [] }
    guard workers[worker].isReplaceable else { return lose(worker, epoch) }
    // A restart now might come too early, and would be one fewer later.
    workers[worker].status = .ended
    workers[worker].losses += 1
    idleCount -= 1
    endedCount += 1
    return assign()
  }

  private mutating func lose(_ worker: Int, _ epoch: UInt32) -> [Directive] {
    // Twice is once, and an earlier life's end is no news.
    guard workers[worker].isPresent, workers[worker].epoch == epoch else { return [] }
    let status = workers[worker].status
    let isReplaced = workers[worker].isReplaceable && !isStopped
    workers[worker].status = isReplaced ? .replacing : .lost
    workers[worker].losses += 1
    var directives: [Directive] = isReplaced ? [.replace(worker: worker)] : []
    if case .busy(let assignment) = status {
      workers[worker].lostSubtasks += 1
      directives += requeue(assignment)
    } else {
      idleCount -= 1
    }
    return directives + failUnserved() + assign()
  }

  private mutating func replace(_ worker: Int, _ epoch: UInt32) -> [Directive] {
    guard workers[worker].status == .replacing else { return [] }
    workers[worker].status = .idle
    workers[worker].hasEnded = false
    workers[worker].epoch = epoch
    workers[worker].restarts += 1
    idleCount += 1
    return assign()
  }

  private mutating func giveUp(_ worker: Int) -> [Directive] {
    guard workers[worker].status == .replacing else { return [] }
    workers[worker].status = .lost
    return failUnserved()
  }

  /// Fails the calls that no worker is left for.
  private mutating func failUnserved() -> [Directive] {
    turns.flatMap { id in
      let needed = calls[id]?.options.capability
      return expectedWorkerCount(offering: needed) == 0 ? fail(id, .noCapableWorker(needed)) : []
    }
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
    // Nothing begins any more, so nobody would ever have its turn.
    if isStopped { return fail(id, .stopped) }
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
  /// Gives idle workers to the calls in turn, and has those that ended replaced if a call waits for one like them.
  private mutating func assign() -> [Directive] {
    var directives: [Directive] = []
    var turn = 0
    while turn < turns.count, idleCount > 0 {
      let id = turns[turn]
      guard let call = calls[id], call.mayBegin, let worker = idleWorker(for: call.options) else {
        turn += 1
        continue
      }
      let assignment = Assignment(
        call: id, subtask: calls[id]!.begin(), worker: worker, epoch: workers[worker].epoch)
      workers[worker].status = .busy(assignment)
      idleCount -= 1
      turns.remove(at: turn)
      if hasWaiting(id) { turns.append(id) }
      directives.append(.run(assignment))
    }
    return endedCount == 0 ? directives : directives + replaceEnded()
  }

  private mutating func replaceEnded() -> [Directive] {
    let waiting = turns.compactMap { calls[$0] }.filter(\.mayBegin)
    let wanted = workers.indices.filter { worker in
      workers[worker].status == .ended
        && waiting.contains { workers[worker].offers($0.options.capability) }
    }
    for worker in wanted { workers[worker].status = .replacing }
    endedCount -= wanted.count
    return wanted.map { .replace(worker: $0) }
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
