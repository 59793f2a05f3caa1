/// Workers of one or more kinds that run subtasks for any number of callers.
///
/// ```swift
/// let sums = try await withActorPool(.threads(4)) { pool in
///   try await pool.run(ranges.map(SumOfColumns.init), operands: Operands(inputs: [matrix]))
/// }
/// ```
///
/// Results come in the order of the subtasks, whichever worker ran them and whenever. Each worker
/// has one subtask at a time; callers take turns, subtask by subtask.
/// `withActorPool` makes a pool and stops it.
///
/// A class with a lock around a value rather than an actor: cancellation reaches it from a
/// synchronous handler, without a task that nobody owns, and a worker asks for its next subtask
/// without leaving its thread.
public final class ActorPool: Sendable {
  let dispatcher: Monitor<PoolDispatcher>
  let clock: RuntimeClock
  /// What each worker comes from.
  let owners: [WorkerConfiguration]
  /// What each worker's restarts have used up.
  let budgets: Monitor<[RestartBudget]>
  /// Subtasks that their callers may stop waiting for.
  let background = ChildTasks()
  /// Lost workers being replaced.
  let replacements = ChildTasks()

  private let links: LinkOptions

  init(
    workers: [any Worker], configurations: [WorkerConfiguration], links: LinkOptions,
    clock: RuntimeClock
  ) {
    self.links = links
    owners = configurations.flatMap { Array(repeating: $0, count: $0.count) }
    let state = PoolState(
      workers: zip(workers, owners).map {
        PoolState.Worker(
          name: $0.name, group: $1.name, capabilities: $1.capabilities,
          isReplaceable: $1.restarts.maxRestarts > 0)
      })
    budgets = Monitor(owners.map { RestartBudget($0.restarts) })
    dispatcher = Monitor(PoolDispatcher(state: state, workers: workers))
    self.clock = clock
  }

  /// The number of workers that are not lost and have the capability; nil counts all.
  ///
  /// A lost one counts again when it is replaced: soon, or, if it ended with nothing to do, once there is work for it. So do not wait
  /// for workers before giving work to the pool.
  public func workerCount(offering capability: Capability? = nil) -> Int {
    dispatcher.withLock { $0.state.workerCount(offering: capability) }
  }

  /// The same with the lost ones that are, or can be, replaced.
  package func expectedWorkerCount(offering capability: Capability? = nil) -> Int {
    dispatcher.withLock { $0.state.expectedWorkerCount(offering: capability) }
  }

  /// Whether some workers are in other processes.
  package var reachesOtherProcesses: Bool {
    dispatcher.withLock { $0.workers.contains { $0.executor == nil } }
  }

  /// The most bytes that a message to any of its workers may have; nil where all are threads.
  package var longestMessage: Int? {
    dispatcher.withLock { $0.workers }.compactMap { ($0 as? RemoteWorker)?.longestMessage }.min()
  }

  /// Whether a worker has nothing to do.
  package var hasIdleWorker: Bool {
    dispatcher.withLock { $0.state.workers.contains { $0.status == .idle } }
  }

  /// The workers' names, in the order of the configurations.
  package var workerNames: [String] { dispatcher.withLock { $0.state.workers.map(\.name) } }

  /// How often a subtask was lost with its worker.
  package var lostSubtaskCount: Int {
    dispatcher.withLock { $0.state.workers.reduce(0) { $0 + $1.lostSubtasks } }
  }

  /// What each worker has done so far, in the order of the configurations.
  public var statistics: [WorkerStatistics] {
    let (states, workers) = dispatcher.withLock { ($0.state.workers, $0.workers) }
    return states.indices.map { index in
      let state = states[index]
      return WorkerStatistics(
        name: state.name, backend: owners[index].backend.name, capabilities: state.capabilities,
        isStarted: workers[index].isStarted, isLost: !state.isPresent, losses: state.losses,
        restarts: state.restarts, completed: state.completed, failed: state.failed,
        busyTime: state.busyTime)
    }
  }

  /// Makes a worker in the place of a lost one.
  func makeWorker(_ index: Int, named name: String, epoch: UInt32) async throws -> any Worker {
    try await links.makeWorker(owners[index].backend, named: name, epoch: epoch)
  }

  /// Begins no more subtasks, and replaces no more workers.
  func refuseWork() {
    carryOut(dispatcher.withLock { $0.handle(.stopped) })
    background.close()
    replacements.close()
  }

  /// Ends the calls of every task, once what they have running is over.
  func cancelCalls() { carryOut(dispatcher.withLock { $0.cancel() }) }

  /// Gives up the workers in other processes that have a subtask, so that nothing in the pool waits for them any more.
  func giveUpWorkers(after limit: Duration) {
    let busy = dispatcher.withLock { dispatcher in
      dispatcher.workers.indices.filter { dispatcher.state.workers[$0].isBusy }
        .map { dispatcher.workers[$0] }
    }
    for case let worker as RemoteWorker in busy {
      worker.giveUp(
        "did not end its subtask within \(limit) after the pool was stopped or cancelled")
    }
  }

  /// Waits for the subtasks that are running, and ends every worker.
  func stopWorkers() async {
    await stopAll(dispatcher.withLock { $0.workers })
  }
}

// MARK: - Scope

/// Makes a pool, hands it to `body`, and stops every worker when `body` ends, however it ends.
///
/// Work that others still have in the pool when `body` ends fails with
/// ``RuntimeError/Code/stopped``; subtasks that are running are waited for, those in other processes for ``Liveness/timeout``. The
/// same holds when the calling task is cancelled, and all work of other tasks fails with `CancellationError` then: what it has running
/// is waited for, and only a process that does not end it by then is given up as lost.
///
/// A worker that is lost is replaced by another of its configuration, as far as its
/// ``WorkerConfiguration/restarts`` allow; work goes on elsewhere meanwhile. Work that only lost
/// workers could do waits for their replacements. One that ends with nothing to do is replaced when work waits for one like it.
///
/// - Parameters:
///   - configurations: the workers.
///   - registry: the errors that arrive from other processes as what they are.
///   - liveness: when a silent process counts as lost.
///   - isolation: the caller's, in which `body` runs.
///   - body: what the pool is for.
/// - Throws: what `body` throws; ``RuntimeError/Code/invalidConfiguration`` when there is no
///   worker, a count is below 1 or two configurations share a name; what a backend throws when it
///   cannot make a worker.
public func withActorPool<Result>(
  _ configurations: WorkerConfiguration..., registry: Registry = Registry(),
  liveness: Liveness = Liveness(), isolation: isolated (any Actor)? = #isolation,
  body: (ActorPool) async throws -> Result
) async throws -> Result {
  try await withActorPool(
    configurations, registry: registry, liveness: liveness, isolation: isolation, body: body)
}

/// As `withActorPool(_:registry:liveness:isolation:body:)`, with the configurations in an array.
public func withActorPool<Result>(
  _ configurations: [WorkerConfiguration], registry: Registry = Registry(),
  liveness: Liveness = Liveness(), isolation: isolated (any Actor)? = #isolation,
  body: (ActorPool) async throws -> Result
) async throws -> Result {
  try await withActorPool(
    configurations, links: LinkOptions(registry: registry, liveness: liveness),
    clock: .continuous, isolation: isolation, body: body)
}

/// The same in the time of a clock.
package func withActorPool<Value>(
  _ configurations: [WorkerConfiguration], links: LinkOptions = LinkOptions(), clock: RuntimeClock,
  isolation: isolated (any Actor)? = #isolation, body: (ActorPool) async throws -> Value
) async throws -> Value {
  try check(configurations)
  let workers = try await makeWorkers(configurations, links)
  let pool = ActorPool(
    workers: workers, configurations: configurations, links: links, clock: clock)
  for (index, worker) in workers.enumerated() { pool.watch(worker, at: index, epoch: 0) }
  let limit = links.liveness.timeout
  // What runs in another process may heed no cancellation.
  let patience = Deadline(after: limit) {
    // Ending a process takes a while, and the thread that keeps the time has others waiting.
    Task.detached { pool.giveUpWorkers(after: limit) }
  }
  let outcome: Result<Value, any Error>
  do {
    // Cancelled, and awaited, where this scope ends.
    async let _: Void = pool.replacements.run()
    async let background: Void = pool.background.run()
    do {
      outcome = .success(
        try await withTaskCancellationHandler {
          try await body(pool)
        } onCancel: {
          pool.cancelCalls()
          patience.set()
        })
    } catch {
      outcome = .failure(error)
    }
    pool.refuseWork()
    patience.set()
    await background
    patience.clear()
  }
  await pool.stopWorkers()
  return try outcome.get()
}

/// Makes all workers at once: starting a process takes longer than starting the next.
private func makeWorkers(
  _ configurations: [WorkerConfiguration], _ links: LinkOptions
) async throws -> [any Worker] {
  let places = configurations.flatMap { configuration in
    (0..<configuration.count).map { (configuration.backend, "\(configuration.name)-\($0)") }
  }
  return try await withThrowingTaskGroup(of: Made.self) { group in
    for (index, (backend, name)) in places.enumerated() {
      group.addTask {
        do {
          let worker = try await links.makeWorker(backend, named: name, epoch: 0)
          return Made(index: index, worker: worker, error: nil)
        } catch {
          return Made(index: index, worker: nil, error: error)
        }
      }
    }
    var all: [Made] = []
    for try await made in group { all.append(made) }
    all.sort { $0.index < $1.index }
    if let error = all.lazy.compactMap(\.error).first {
      await stopAll(all.compactMap(\.worker))
      throw error
    }
    return all.compactMap(\.worker)
  }
}

/// Ends all at once: each may wait for what it has in hand.
private func stopAll(_ workers: [any Worker]) async {
  await withDiscardingTaskGroup { group in
    for worker in workers { group.addTask { await worker.stop() } }
  }
}

/// A worker, or why there is none. Not a `Result` in a tuple: optimized builds of Swift 6.3 take such a child task's answer apart
/// wrongly.
private struct Made: Sendable {
  let index: Int
  let worker: (any Worker)?
  let error: (any Error)?
}

private func check(_ configurations: [WorkerConfiguration]) throws(RuntimeError) {
  guard !configurations.isEmpty else {
    throw RuntimeError(.invalidConfiguration, "A pool needs at least one worker.")
  }
  var names: Set<String> = []
  for configuration in configurations {
    guard configuration.count >= 1 else {
      throw RuntimeError(
        .invalidConfiguration,
        "\(configuration.name): count is \(configuration.count), at least 1 is needed.")
    }
    guard names.insert(configuration.name).inserted else {
      throw RuntimeError(
        .invalidConfiguration,
        "Two configurations are named \(configuration.name): give one another name.")
    }
  }
}
