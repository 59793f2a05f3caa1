import ByzRuntime
import Testing

@Suite("withActorPool", .timeLimit(.minutes(3)))
struct ActorPoolScopeTests {
  @Test("rejects work after the scope has ended")
  func stopped() async throws {
    let pool = try await withActorPool(.threads(1)) { $0 }
    let code = await runtimeError { try await pool.run(Probe.make(1) { $0 }) }
    #expect(code == .stopped)
  }

  @Test("fails what waits when the scope ends, and lets what runs finish")
  func stopWithWork() async throws {
    let (started, release) = (Signal(), Signal())
    let finished = Log<Int>()
    let (running, waiting) = try await withActorPool(.threads(1)) { pool in
      let subtasks = Probe.make(1) { i in
        started.send()
        release.block()
        finished.append(i)
        return i
      }
      let running = Task { try await pool.run(subtasks) }
      await started.wait()
      let waiting = Task {
        defer { release.send() }
        return try await pool.run(Probe.make(1) { $0 })
      }
      return (running, waiting)
    }
    #expect(finished.entries == [0])
    let value = try await running.value
    #expect(value == [0])
    #expect(await runtimeError { try await waiting.value } == .stopped)
  }

  @Test("refuses a pool without workers, a count below one, and a name used twice")
  func configurations() async {
    for wrong: [WorkerConfiguration] in [[], [.threads(0)], [.threads(1), .threads(1)]] {
      #expect(
        await runtimeError { try await withActorPool(wrong) { _ in } } == .invalidConfiguration)
    }
  }

  @Test("makes a worker of its own for each place, from one backend, with a name of its own")
  func ownWorkers() async throws {
    let stops = Log<String>()
    try await withActorPool(
      WorkerConfiguration(backend: ScriptedBackend(stops: stops), count: 3)
    ) { pool in
      #expect(pool.statistics.map(\.name) == ["scripted-0", "scripted-1", "scripted-2"])
      _ = try await pool.run(Probe.make(1) { $0 })
      #expect(pool.statistics.map(\.completed) == [1, 0, 0])
    }
    #expect(stops.entries == ["scripted-0", "scripted-1", "scripted-2"])
  }

  @Test("starts all workers at the same time, those of other configurations too")
  func startsAtOnce() async throws {
    let backend = GatheringBackend(count: 7)
    try await withActorPool(
      WorkerConfiguration(backend: backend, count: 4),
      WorkerConfiguration(backend: backend, count: 3, name: "others")
    ) { pool in
      #expect(pool.workerCount() == 7)
    }
  }

  @Test("stops the workers it has when it cannot make another")
  func failedStart() async {
    let stops = Log<String>()
    let code = await runtimeError {
      try await withActorPool(
        WorkerConfiguration(backend: ScriptedBackend(stops: stops), count: 2),
        WorkerConfiguration(backend: ScriptedBackend(canStart: false), name: "broken")
      ) { _ in }
    }
    #expect(code == .workerStartFailed)
    #expect(stops.entries == ["scripted-0", "scripted-1"])
  }

  @Test("runs the subtasks of a lost worker on another, and gives the lost one no more")
  func lostWorker() async throws {
    try await withActorPool(
      WorkerConfiguration(backend: ScriptedBackend(subtasksBeforeLoss: 2), restarts: .never),
      .threads(1)
    ) { pool in
      let results = try await pool.run(Probe.make(40) { $0 + 1 })
      #expect(results == Array(1...40))
      // The only way to be sure that the first one is used up.
      _ = try await pool.run(
        Probe.make(5) { $0 }, options: SubtaskOptions(affinity: "scripted-0", maxInFlight: 1))
      #expect(pool.workerCount() == 1)
      #expect(pool.statistics.map(\.isLost) == [true, false])
      #expect(pool.statistics[0].completed == 2)
      #expect(pool.statistics.map(\.completed).reduce(0, +) == 45)
    }
  }

  @Test("reports a subtask that loses every worker it is given")
  func poisonousSubtask() async throws {
    try await withActorPool(
      WorkerConfiguration(
        backend: ScriptedBackend(subtasksBeforeLoss: 0), count: 3, restarts: .never)
    ) { pool in
      let twice = SubtaskOptions(maxAttempts: 2)
      let first = await runtimeError { try await pool.run(Probe.make(1) { $0 }, options: twice) }
      #expect(first == .workerLost)
      let second = await runtimeError { try await pool.run(Probe.make(1) { $0 }) }
      #expect(second == .noCapableWorker)
    }
  }

  #if os(Linux)
    @Test("leaves no thread behind, after an error too")
    func threadsAreGone() async throws {
      let barrier = Barrier(parties: 3)
      let names = (0..<3).map { "gone-\($0)" }
      await #expect(throws: Failure(number: 1)) {
        try await withActorPool(.threads(3, name: "gone")) { pool in
          _ = try await pool.run(
            Probe.make(3) { _ in
              barrier.wait()
              return 0
            })
          // Where another thread ends meanwhile, a list may lack some.
          #expect(await eventually { Set(names).isSubset(of: threadNames()) })
          throw Failure(number: 1)
        }
      }
      // The system lists a thread a little longer than it runs.
      #expect(await eventually { Set(names).isDisjoint(with: threadNames()) })
    }
  #endif
}

/// Makes workers that run subtasks in the calling task and are lost after some.
private struct ScriptedBackend: WorkerBackend {
  var name: String { "scripted" }
  var capabilities: Set<Capability> { [.cpu] }
  var canStart = true
  var subtasksBeforeLoss = Int.max
  var stops = Log<String>()

  func makeWorker(named name: String) async throws -> any Worker {
    guard canStart else { throw RuntimeError(.workerStartFailed, "No.") }
    return ScriptedWorker(name: name, subtasksBeforeLoss: subtasksBeforeLoss, stops: stops)
  }
}

/// Has no worker before it has been asked for all of them.
private struct GatheringBackend: WorkerBackend {
  let count: Int
  let starting = Log<Signal>()

  var name: String { "gathering" }
  var capabilities: Set<Capability> { [.cpu] }

  func makeWorker(named name: String) async throws -> any Worker {
    let all = Signal()
    starting.append(all)
    let signals = starting.entries
    // Two may come to see that they are all; once sent, again makes no difference.
    if signals.count == count { for signal in signals { signal.send() } }
    await all.wait()
    // At the end of the time limit nobody else comes.
    try Task.checkCancellation()
    return ScriptedWorker(name: name, subtasksBeforeLoss: .max, stops: Log())
  }
}

private final class ScriptedWorker: Worker {
  let name: String
  private let subtasksBeforeLoss: Int
  private let stops: Log<String>
  private let begun = Log<Void>()

  init(name: String, subtasksBeforeLoss: Int, stops: Log<String>) {
    self.name = name
    self.subtasksBeforeLoss = subtasksBeforeLoss
    self.stops = stops
  }

  var isStarted: Bool { true }

  func run<S: Subtask>(_ subtask: S, operands: Operands) async throws -> S.Output {
    guard begun.entries.count < subtasksBeforeLoss else { throw RuntimeError(.workerLost, name) }
    begun.append(())
    return try subtask.run(operands)
  }

  func stop() async { stops.append(name) }
}
