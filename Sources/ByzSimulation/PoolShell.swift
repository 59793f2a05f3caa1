import ByzRuntime
import ByzTensor

/// The production ``PoolState`` and ``RestartBudget`` in virtual time, carried out as ``ActorPool`` carries them out, over
/// connections to simulated hosts.
final class PoolShell {
  private unowned let world: World
  private(set) var state: PoolState
  private var budgets: [RestartBudget]
  private let routes: [Route]
  private var ends: [Endpoint?]
  private var calls: [Int: Call] = [:]
  private var nextCall = 0
  private(set) var isStopped = false

  /// One call of ``run(_:options:done:)``.
  private final class Call {
    let work: [Work]
    let options: SubtaskOptions
    let done: (Result<[UInt64], RuntimeError>) -> Void
    var results: [UInt64?]
    /// For a plant: in the order of arrival.
    var arrived: [UInt64] = []
    var inFlight: [PoolState.Assignment: UInt64] = [:]
    var losses: [Int: Int] = [:]
    var failure: RuntimeError?
    var isDone = false

    init(
      _ work: [Work], _ options: SubtaskOptions,
      _ done: @escaping (Result<[UInt64], RuntimeError>) -> Void
    ) {
      self.work = work
      self.options = options
      self.done = done
      results = Array(repeating: nil, count: work.count)
    }
  }

  /// A pool with a connection to each host, which is open already or is lost at once.
  init(_ routes: [Route], restarts: RestartPolicy, in world: World) {
    self.world = world
    self.routes = routes
    state = PoolState(
      workers: routes.indices.map {
        PoolState.Worker(
          name: "sim-\($0)", group: "sim", capabilities: [.cpu],
          isReplaceable: restarts.maxRestarts > 0)
      })
    budgets = routes.map { _ in RestartBudget(restarts) }
    ends = routes.map { _ in nil }
  }

  /// Opens the first connections; `done` is called when each is open or has failed.
  func open(done: @escaping () -> Void) {
    var missing = routes.count
    for (index, route) in routes.enumerated() {
      connect(route) { [unowned self] result in
        if case .success(let end) = result {
          ends[index] = end
          watch(end, at: index, epoch: 0)
        } else {
          carryOut(state.handle(.workerLost(index, epoch: 0)))
        }
        missing -= 1
        if missing == 0 { done() }
      }
    }
  }

  private func connect(_ route: Route, done: @escaping (Result<Endpoint, RuntimeError>) -> Void) {
    let world = world
    route.connect(in: world, serve: { _ = WorkerServer($0, in: world) }, done: done)
  }

  /// Runs work on the workers; `done` is called once, with the results in the order of the work.
  @discardableResult
  func run(
    _ work: [Work], options: SubtaskOptions = SubtaskOptions(),
    done: @escaping (Result<[UInt64], RuntimeError>) -> Void
  ) -> Int {
    let id = nextCall
    nextCall += 1
    world.counts.subtasks += work.count
    world.note("submit", id, work.count)
    calls[id] = Call(work, options, done)
    carryOut(state.handle(.submitted(call: id, count: work.count, options)))
    finishIfDone(id)
    return id
  }

  /// The caller of a call no longer wants it.
  func cancel(_ id: Int) {
    fail(id, RuntimeError(.stopped, "The caller was cancelled."))
    finishIfDone(id)
  }

  /// Begins nothing more; what runs may end.
  func stop() {
    world.note("stop")
    isStopped = true
    carryOut(state.handle(.stopped))
    for id in calls.keys.sorted() { finishIfDone(id) }
  }

  /// Ends the connections.
  func close() {
    for end in ends { end?.drain() }
  }

  /// Calls that have not ended.
  var pending: Int { calls.count }
}

// MARK: - Carrying out

extension PoolShell {
  private func carryOut(_ directives: [PoolState.Directive]) {
    for directive in directives {
      switch directive {
      case .run(let assignment): begin(assignment)
      case .fail(let call, let failure): refuse(call, failure)
      case .replace(let worker): replace(worker)
      }
    }
  }

  private func begin(_ assignment: PoolState.Assignment) {
    guard let call = calls[assignment.call], call.failure == nil else {
      // Withdrawn between the decision and now.
      return carryOut(state.handle(.finished(assignment, .cancelled, busy: .zero)))
    }
    world.note("begin", assignment.call, assignment.subtask, assignment.worker)
    if call.results[assignment.subtask] != nil {
      world.violate("Subtask \(assignment.subtask) of call \(assignment.call) began after its end.")
    }
    let work = call.work[assignment.subtask]
    guard let end = ends[assignment.worker] else {
      return world.violate("Worker \(assignment.worker) was given work before it was there.")
    }
    var segments: [Segment] = []
    if world.chance(0.2) {
      let bytes = (0..<world.pick(0...200)).map { UInt8(truncatingIfNeeded: $0) }
      segments = [Tensor(bytes.map(Float.init)).segment]
    }
    let extra = segments.reduce(UInt64(0)) { sum, segment in
      segment.withUnsafeBytes { $0.reduce(sum) { $0 &+ UInt64($1) } }
    }
    var isCalling = true
    var isOver = false
    // Before the call: it may end at once.
    call.inFlight[assignment] = 0
    let id = end.call(
      body: work.body, segments: segments, timeLeft: call.options.timeout
    ) { [unowned self, unowned end] answer in
      isOver = true
      // From the timeline when it ends at once, as a task would go on later.
      guard !isCalling else {
        return world.timeline.after(0) { [unowned self] in
          ended(assignment, work, extra, answer, end)
        }
      }
      ended(assignment, work, extra, answer, end)
    }
    isCalling = false
    if !isOver { call.inFlight[assignment] = id }
  }

  private func ended(
    _ assignment: PoolState.Assignment, _ work: Work, _ extra: UInt64, _ answer: Endpoint.Answer,
    _ end: Endpoint
  ) {
    let (id, subtask) = (assignment.call, assignment.subtask)
    let call = calls[id]
    world.note("end", id, subtask, assignment.worker)
    if call?.inFlight.removeValue(forKey: assignment) == nil {
      world.violate("Subtask \(subtask) of call \(id) ended on a worker that did not have it.")
    }
    switch answer {
    case .success(let message) where message.kind == .reply:
      guard let reply = Reply(parsing: message.body) else {
        return world.violate("A reply arrived changed.")
      }
      if reply.connection != end.cable.number {
        world.violate(
          "A reply of connection \(reply.connection) ended a call of \(end.cable.number).")
      }
      if reply.result != work.result &+ extra {
        world.violate("Subtask \(subtask) of call \(id) returned what is not its value.")
      }
      if let call {
        if call.results[subtask] != nil {
          world.violate("Subtask \(subtask) of call \(id) ended twice.")
        }
        call.results[subtask] = reply.result &- extra
        call.arrived.append(reply.result &- extra)
      }
      carryOut(state.handle(.finished(assignment, .completed, busy: .zero)))
    case .success:
      fail(id, RuntimeError(.unknownTarget, "The subtask threw."))
      carryOut(state.handle(.finished(assignment, .failed, busy: .zero)))
    case .failure(let error) where error.code == .workerLost:
      world.counts.retries += 1
      call?.losses[subtask, default: 0] += 1
      if world.plant == .lostWorkDropped {
        carryOut(state.handle(.finished(assignment, .cancelled, busy: .zero)))
      }
      carryOut(state.handle(.workerLost(assignment.worker, epoch: assignment.epoch)))
    case .failure(let error):
      if error.code == .stopped, !isStopped, call?.failure == nil {
        world.violate("A worker that takes no more calls failed call \(id): \(error.message)")
      }
      if error.code == .deadlineExceeded, call?.options.timeout == nil {
        world.violate("Call \(id) has no time limit, but exceeded one.")
      }
      fail(id, error)
      carryOut(state.handle(.finished(assignment, .failed, busy: .zero)))
    }
    finishIfDone(id)
  }

  /// The state gives a call up: the reason must be true.
  private func refuse(_ id: Int, _ failure: PoolState.Failure) {
    guard let call = calls[id] else { return }
    switch failure {
    case .noCapableWorker:
      if state.expectedWorkerCount(offering: nil) > 0 {
        world.violate("Call \(id) was given up though workers are left.")
      }
      fail(id, RuntimeError(.noCapableWorker, "No worker is left."))
    case .lost(let subtask, let attempts):
      if attempts != call.options.maxAttempts || call.losses[subtask] != attempts {
        world.violate("Subtask \(subtask) of call \(id) was given up before its time.")
      }
      fail(id, RuntimeError(.workerLost, "Lost \(attempts) times."))
    case .stopped:
      if !isStopped { world.violate("A pool that goes on said that it has stopped.") }
      fail(id, RuntimeError(.stopped, "The pool has been stopped."))
    }
    finishIfDone(id)
  }

  private func fail(_ id: Int, _ error: RuntimeError) {
    carryOut(state.handle(.withdrawn(call: id)))
    guard let call = calls[id], call.failure == nil else { return }
    call.failure = error
    let running = call.inFlight.sorted { ($0.key.worker, $0.value) < ($1.key.worker, $1.value) }
    for (assignment, number) in running where number > 0 { ends[assignment.worker]?.cancel(number) }
  }

  private func finishIfDone(_ id: Int) {
    guard let call = calls[id], !call.isDone, call.inFlight.isEmpty else { return }
    let results = call.results.compactMap(\.self)
    guard call.failure != nil || results.count == call.work.count else { return }
    call.isDone = true
    calls[id] = nil
    world.note("done", id, call.failure == nil ? 1 : 0)
    guard call.failure == nil else {
      world.counts.refused += call.work.count
      return call.done(.failure(call.failure!))
    }
    world.counts.returned += call.work.count
    let inOrder = world.plant == .orderOfArrival ? call.arrived : results
    for (work, result) in zip(call.work, inOrder) where work.result != result {
      world.violate("The results of call \(id) are not in the order of its subtasks.")
    }
    call.done(.success(inOrder))
  }

  // MARK: - Replacement

  private func replace(_ index: Int, afterFailure: Bool = false) {
    ends[index]?.drain()
    guard !isStopped,
      let (delay, epoch) = budgets[index].next(at: world.now, afterFailure: afterFailure)
    else { return giveUp(index) }
    world.note("replace", index, Int(epoch))
    world.timeline.after(delay.microsecondsRoundedUp) { [unowned self] in
      guard !isStopped else { return giveUp(index) }
      connect(routes[index]) { [unowned self] result in
        guard case .success(let end) = result else { return replace(index, afterFailure: true) }
        ends[index] = end
        carryOut(state.handle(.workerReplaced(index, epoch: epoch)))
        watch(end, at: index, epoch: epoch)
      }
    }
  }

  private func watch(_ end: Endpoint, at index: Int, epoch: UInt32) {
    let tell = { [unowned self] in carryOut(state.handle(.workerEnded(index, epoch: epoch))) }
    end.whenEnded = { _ in tell() }
    if end.hasEnded { tell() }
  }

  private func giveUp(_ index: Int) {
    world.note("give up", index)
    carryOut(state.handle(.workerGivenUp(index)))
  }
}
