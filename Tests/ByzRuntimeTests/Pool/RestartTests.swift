import ByzRuntime
import ByzRuntimeTestSupport
import Testing

@Suite("Restarts", .timeLimit(.minutes(3)))
struct RestartTests {
  @Test("the first is at once, the second after the back-off, each further one after twice as long")
  func backOff() {
    var budget = RestartBudget(
      RestartPolicy(maxRestarts: 4, within: .seconds(60), backOff: .seconds(1)))
    let starts = (0..<4).map { _ in budget.next(at: .zero) }
    #expect(starts.map { $0?.delay } == [.zero, .seconds(1), .seconds(2), .seconds(4)])
    #expect(starts.map { $0?.epoch } == [1, 2, 3, 4])
    #expect(budget.next(at: .zero) == nil)
  }

  @Test("those of an earlier period do not count, and no life has the number of another")
  func period() {
    var budget = RestartBudget(
      RestartPolicy(maxRestarts: 1, within: .seconds(10), backOff: .seconds(1)))
    #expect(budget.next(at: .seconds(5))?.epoch == 1)
    #expect(budget.next(at: .seconds(14)) == nil)
    let later = budget.next(at: .seconds(15))
    #expect(later?.delay == .zero)
    #expect(later?.epoch == 2)
    // Attempts that fail are not forgotten, though each takes longer than the period.
    var slow = RestartBudget(
      RestartPolicy(maxRestarts: 2, within: .seconds(10), backOff: .seconds(1)))
    #expect(slow.next(at: .seconds(0)) != nil)
    #expect(slow.next(at: .seconds(40), afterFailure: true) != nil)
    #expect(slow.next(at: .seconds(80), afterFailure: true) == nil)
    var none = RestartBudget(.never)
    #expect(none.next(at: .zero) == nil)
  }

  @Test(
    "one that the pool gave up is replaced at once, and not counted, unless there are to be none")
  func givenUp() {
    var budget = RestartBudget(
      RestartPolicy(maxRestarts: 1, within: .seconds(60), backOff: .seconds(1)))
    for epoch: UInt32 in 1...3 {
      let next = budget.next(at: .zero, wasGivenUp: true)
      #expect(next?.delay == .zero && next?.epoch == epoch)
    }
    #expect(budget.next(at: .zero)?.epoch == 4)
    #expect(budget.next(at: .zero) == nil)
    // What was long ago is forgotten.
    #expect(budget.next(at: .seconds(3600), wasGivenUp: true) != nil)
    #expect(budget.next(at: .seconds(3600), afterFailure: true) != nil)
    var none = RestartBudget(.never)
    #expect(none.next(at: .zero, wasGivenUp: true) == nil)
  }

  @Test("put a worker of the same name in a lost one's place, in a new life")
  func replacement() async throws {
    let backend = MortalBackend(subtasksPerLife: 3)
    try await withActorPool(
      WorkerConfiguration(backend: backend, count: 2, restarts: RestartPolicy(maxRestarts: 100))
    ) { pool in
      let results = try await pool.run(Probe.make(20) { $0 }, options: patient)
      #expect(results == Array(0..<20))
      let statistics = pool.statistics
      #expect(statistics.map(\.name) == ["mortal-0", "mortal-1"])
      #expect(statistics.map(\.completed).reduce(0, +) == 20)
      // Three subtasks for each life: at least seven lives for 20, and two are free.
      #expect(statistics.map(\.restarts).reduce(0, +) >= 5)
      #expect(statistics.allSatisfy { $0.losses >= $0.restarts })
    }
    let lives = backend.log.entries
    #expect(Set(lives).count == lives.count, "each name and epoch once")
    #expect(Set(backend.stops.entries) == Set(lives), "every life was ended")
  }

  @Test("go on elsewhere meanwhile, and wait for the back-off where there is no elsewhere")
  func waiting() async throws {
    let clock = ManualClock()
    let backend = MortalBackend(subtasksPerLife: 1)
    let policy = RestartPolicy(maxRestarts: 2, within: .seconds(60), backOff: .seconds(5))
    try await withActorPool(
      [WorkerConfiguration(backend: backend, restarts: policy)], clock: RuntimeClock(clock)
    ) { pool in
      // One life for each; the second restart waits five seconds.
      async let results = pool.run(Probe.make(3) { $0 }, options: patient)
      await clock.sleepers(1)
      #expect(backend.log.entries.count == 2)
      #expect(pool.workerCount() == 0)
      clock.advance(by: .seconds(5))
      let values = try await results
      #expect(values == [0, 1, 2])
      #expect(pool.statistics.map(\.restarts) == [2])
      // The policy is used up.
      let code = await runtimeError { try await pool.run(Probe.make(1) { $0 }, options: patient) }
      #expect(code == .noCapableWorker)
      #expect(pool.statistics.map(\.isLost) == [true])
    }
  }

  @Test("are tried again when a worker cannot be made, as often as the policy says")
  func failedStarts() async throws {
    let backend = MortalBackend(subtasksPerLife: 1, canRestart: false)
    let policy = RestartPolicy(maxRestarts: 3, within: .seconds(60), backOff: .zero)
    try await withActorPool(WorkerConfiguration(backend: backend, restarts: policy)) { pool in
      let code = await runtimeError { try await pool.run(Probe.make(2) { $0 }, options: patient) }
      #expect(code == .noCapableWorker)
      #expect(pool.statistics.map(\.restarts) == [0])
    }
    #expect(backend.log.entries == ["mortal-0/0", "mortal-0/1", "mortal-0/2", "mortal-0/3"])
  }

  @Test("end with the pool, also while they wait")
  func endOfScope() async throws {
    let clock = ManualClock()
    let backend = MortalBackend(subtasksPerLife: 0)
    let policy = RestartPolicy(maxRestarts: 9, within: .seconds(600), backOff: .seconds(100))
    let work = try await withActorPool(
      [WorkerConfiguration(backend: backend, restarts: policy)], clock: RuntimeClock(clock)
    ) { pool in
      let work = Task { try await pool.run(Probe.make(1) { $0 }, options: patient) }
      await clock.sleepers(1)
      return work
    }
    #expect(await runtimeError { try await work.value } == .stopped)
  }

  private let patient = SubtaskOptions(maxAttempts: 1000)
}

/// Makes workers that run a few subtasks in the calling task and are lost with the next.
struct MortalBackend: WorkerBackend {
  var name: String { "mortal" }
  var capabilities: Set<Capability> { [.cpu] }
  let subtasksPerLife: Int
  var canRestart = true
  let log = Log<String>()
  let stops = Log<String>()

  func makeWorker(named name: String) async throws -> any Worker {
    try await makeWorker(named: name, epoch: 0)
  }

  func makeWorker(named name: String, epoch: UInt32) async throws -> any Worker {
    log.append("\(name)/\(epoch)")
    guard canRestart || epoch == 0 else { throw RuntimeError(.workerStartFailed, "No.") }
    return MortalWorker(
      name: name, life: "\(name)/\(epoch)", subtasks: subtasksPerLife, stops: stops)
  }
}

private final class MortalWorker: Worker {
  let name: String
  private let life: String
  private let left: Monitor<Int>
  private let stops: Log<String>

  init(name: String, life: String, subtasks: Int, stops: Log<String>) {
    self.name = name
    self.life = life
    left = Monitor(subtasks)
    self.stops = stops
  }

  var isStarted: Bool { true }

  func run<S: Subtask>(_ subtask: S, operands: Operands) async throws -> S.Output {
    let isAlive = left.withLock { left in
      left -= 1
      return left >= 0
    }
    guard isAlive else { throw RuntimeError(.workerLost, life) }
    return try subtask.run(operands)
  }

  func stop() async {
    if !stops.entries.contains(life) { stops.append(life) }
  }
}
