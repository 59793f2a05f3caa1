import ByzRuntime
import ByzTesting
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Sleeps without asking whether it is cancelled, and says which process it ran in.
struct Doze: Subtask {
  var seconds: UInt32

  func run(_ operands: Operands) throws -> Int32 {
    var left = seconds
    while left > 0 { left = sleep(left) }
    return getpid()
  }
}

/// Goes on until it is cancelled, and then throws, or returns as if it were done.
struct Heed: Subtask {
  var throwsThen: Bool

  func run(_ operands: Operands) throws -> Int32 {
    while !Task.isCancelled { usleep(1000) }
    if throwsThen { throw CancellationError() }
    return getpid()
  }
}

/// Throws what a cancelled task throws, and is not cancelled.
struct Resign: Subtask {
  func run(_ operands: Operands) throws -> Int { throw CancellationError() }
}

/// Says that a worker of its own was lost.
struct Bereaved: Subtask {
  func run(_ operands: Operands) throws -> Int { throw RuntimeError(.workerLost, "Its own.") }
}

/// Kills its process.
struct Crash: Subtask {
  func run(_ operands: Operands) throws -> Int32 { kill(getpid(), SIGKILL) }
}

/// A type that no other process can name.
private struct Nameless: Subtask {
  func run(_ operands: Operands) throws -> Int { 7 }
}

/// The child processes of these tests.
enum DozeProgram: TestWorkerProgram {
  static func run() -> Never {
    runInheritedWorker(
      Registry(subtasks: [Doze.self, Heed.self, Resign.self, Bereaved.self, Crash.self]))
    exit(1)
  }
}

@Suite("Processes of a pool that hang or die", .timeLimit(.minutes(3)))
struct LostProcessTests {
  private let processes = ProcessBackend(running: DozeProgram.self)
  /// For what must not be given up, however busy the machine is.
  private let patience = Liveness(interval: .seconds(1), timeout: .seconds(60))

  /// Waits for what comes by itself, until the test's time is over.
  private func wait(until condition: () -> Bool) async throws {
    while !condition() {
      try Task.checkCancellation()
      await Task.yield()
    }
  }

  @Test(
    "one that goes on with an overdue subtask is given nothing else, and is replaced",
    arguments: [false, true])
  func hung(byDeadline: Bool) async throws {
    let workers = WorkerConfiguration(
      backend: processes, count: 2, restarts: RestartPolicy(maxRestarts: 100))
    let liveness = Liveness(interval: .milliseconds(100), timeout: .seconds(3))
    try await withActorPool(workers, liveness: liveness) { pool in
      let limit = Duration.milliseconds(200)
      repeat {
        try Task.checkCancellation()
        // On a busy machine the time may be over before the subtask has begun.
        let error = await #expect(throws: RuntimeError.self) {
          if byDeadline {
            try await withDeadline(limit) { try await pool.run([Doze(seconds: 3600)]) }
          } else {
            try await pool.run([Doze(seconds: 3600)], options: SubtaskOptions(timeout: limit))
          }
        }
        #expect(error?.code == .deadlineExceeded)
        // By the other one, or by who takes this one's place.
        _ = try await pool.run([Doze(seconds: 0)])
      } while !pool.statistics.contains { $0.restarts > 0 }
      #expect(try await pool.run([Doze(seconds: 0), Doze(seconds: 0)]).count == 2)
    }
  }

  @Test("are not asked for a subtask of a private type, which is refused; a thread runs it")
  func nameless() async throws {
    let answers = try await withActorPool(.threads(1)) { try await $0.run([Nameless()]) }
    #expect(answers == [7])
    let workers = WorkerConfiguration(backend: processes, count: 1)
    try await withActorPool(workers, liveness: patience) { pool in
      let error = await #expect(throws: RuntimeError.self) { try await pool.run([Nameless()]) }
      #expect(error?.code == .invalidConfiguration)
      #expect(error?.message.contains("Nameless is private or local") == true)
      _ = try await pool.run([Doze(seconds: 0)])
    }
  }

  @Test("one that goes on with what a gathering needs no more does not hold up the end of the pool")
  func deaf() async throws {
    let liveness = Liveness(interval: .milliseconds(100), timeout: .seconds(3))
    let workers = WorkerConfiguration(backend: processes, count: 2)
    let quorum = Quorum(1, deadline: .milliseconds(500))
    var took = Duration.zero
    // The second may be cancelled before it has begun, and then there is nothing to wait for.
    while took < .seconds(2) {
      try Task.checkCancellation()
      let end = try await withActorPool(workers, liveness: liveness) { pool in
        let gathering = try await pool.gather(
          [Doze(seconds: 0), Doze(seconds: 300)], until: quorum)
        #expect(gathering.participants == [0])
        return ContinuousClock.now
      }
      took = .now - end
    }
    #expect(took < .seconds(100))
  }

  @Test(
    "those that go on with what one gathering after the other needs no more are replaced, again and again"
  )
  func deafAgain() async throws {
    let liveness = Liveness(interval: .milliseconds(100), timeout: .seconds(3))
    let workers = WorkerConfiguration(
      backend: processes, count: 2, restarts: RestartPolicy(maxRestarts: 1, within: .seconds(3600)))
    try await withActorPool(workers, liveness: liveness) { pool in
      // More of them than workers, and than replacements of those that are lost by themselves.
      while pool.statistics.reduce(0, { $0 + $1.restarts }) < 3 {
        let gathering = try await pool.gather(
          [Doze(seconds: 0), Doze(seconds: 3600)],
          until: Quorum(1, deadline: .milliseconds(500)))
        #expect(gathering.participants == [0])
      }
    }
  }

  @Test(
    "one that goes on when its caller was cancelled is replaced, and keeps the caller for no longer"
  )
  func deafWhenCallerIsCancelled() async throws {
    let liveness = Liveness(interval: .milliseconds(100), timeout: .seconds(3))
    let workers = WorkerConfiguration(
      backend: processes, count: 1, restarts: RestartPolicy(maxRestarts: 1, within: .seconds(3600)))
    try await withActorPool(workers, liveness: liveness) { pool in
      // Cancelled before it has begun it would keep nobody. More of them than replacements of one that is lost by itself.
      while pool.statistics[0].restarts < 2 {
        let caller = Task { try await pool.run([Doze(seconds: 3600)]) }
        try await Task.sleep(for: .milliseconds(500))
        caller.cancel()
        await #expect(throws: CancellationError.self) { try await caller.value }
        _ = try await pool.run([Doze(seconds: 0)])
      }
    }
  }

  @Test("one that goes on does not hold up the end of a pool that is cancelled")
  func deafWhenCancelled() async throws {
    let liveness = Liveness(interval: .milliseconds(100), timeout: .seconds(3))
    let workers = WorkerConfiguration(backend: processes, count: 1)
    var took = Duration.zero
    // The subtask may be cancelled before it has begun, and then there is nothing to wait for.
    while took < .seconds(2) {
      try Task.checkCancellation()
      let isThere = Signal()
      let owner = Task {
        try await withActorPool(workers, liveness: liveness) { pool in
          isThere.send()
          _ = try await pool.run([Doze(seconds: 300)])
        }
      }
      await isThere.wait()
      try await Task.sleep(for: .milliseconds(500))
      let start = ContinuousClock.now
      owner.cancel()
      await #expect(throws: CancellationError.self) { try await owner.value }
      took = .now - start
    }
    #expect(took < .seconds(100))
  }

  @Test(
    "one that heeds the end of its time has exceeded it, and is not lost", arguments: [false, true])
  func heeding(throwsThen: Bool) async throws {
    let workers = WorkerConfiguration(backend: processes, count: 1)
    try await withActorPool(workers, liveness: patience) { pool in
      let error = await #expect(throws: RuntimeError.self) {
        try await pool.run(
          [Heed(throwsThen: throwsThen)], options: SubtaskOptions(timeout: .milliseconds(200)))
      }
      #expect(error?.code == .deadlineExceeded, "\(String(describing: error))")
      _ = try await pool.run([Doze(seconds: 0)])
      #expect(pool.statistics.map(\.losses) == [0])
    }
  }

  @Test("one that throws CancellationError by itself has not exceeded its time")
  func resigning() async throws {
    try await withActorPool(WorkerConfiguration(backend: processes, count: 1)) { pool in
      await #expect(throws: CancellationError.self) {
        try await pool.run([Resign()], options: SubtaskOptions(timeout: .seconds(3600)))
      }
    }
  }

  @Test(
    "one whose subtask has lost a worker of its own is not lost",
    arguments: [nil, Duration.seconds(3600)])
  func bereaved(timeout: Duration?) async throws {
    for workers in [.threads(1), WorkerConfiguration(backend: processes, count: 1)] {
      try await withActorPool(workers) { pool in
        let error = await #expect(throws: RuntimeError.self) {
          try await pool.run([Bereaved()], options: SubtaskOptions(timeout: timeout))
        }
        #expect(error?.code == .workerLost && error?.message == "Its own.")
        _ = try await pool.run([Doze(seconds: 0)])
        #expect(pool.statistics.map(\.losses) == [0] && pool.statistics.map(\.failed) == [1])
      }
    }
  }

  @Test("work of other tasks ends with a pool that is cancelled, and goes to no other process")
  func otherTasks() async throws {
    let liveness = Liveness(interval: .milliseconds(100), timeout: .seconds(3))
    let workers = WorkerConfiguration(backend: processes, count: 2)
    let isThere = Signal()
    let owner = Task {
      try await withActorPool(workers, liveness: liveness) { pool in
        let work = Task {
          try await pool.run(
            [Doze(seconds: 0), Doze(seconds: 3600)], options: SubtaskOptions(maxInFlight: 1))
        }
        try await wait { pool.statistics.contains { $0.completed == 1 } }
        isThere.send()
        await #expect(throws: CancellationError.self) { try await work.value }
        await #expect(throws: CancellationError.self) {
          try await Task { try await pool.run([Doze(seconds: 0)]) }.value
        }
      }
    }
    await isThere.wait()
    owner.cancel()
    try await owner.value
  }

  @Test("work that loses one worker after the other says how the last was lost")
  func reason() async throws {
    let workers = WorkerConfiguration(
      backend: processes, count: 1, restarts: RestartPolicy(backOff: .milliseconds(1)))
    try await withActorPool(workers) { pool in
      let error = await #expect(throws: RuntimeError.self) { try await pool.run([Crash()]) }
      #expect(error?.code == .workerLost)
      #expect(
        "\(String(describing: error))".contains("signal \(SIGKILL)"), "\(String(describing: error))"
      )
    }
  }

  @Test("one that is late, but comes to an end, is given work again")
  func late() async throws {
    let workers = WorkerConfiguration(backend: processes, count: 1, restarts: .never)
    try await withActorPool(workers, liveness: patience) { pool in
      let error = await #expect(throws: RuntimeError.self) {
        try await pool.run(
          [Doze(seconds: 1)], options: SubtaskOptions(timeout: .milliseconds(200)))
      }
      #expect(error?.code == .deadlineExceeded)
      _ = try await pool.run([Doze(seconds: 0)])
      #expect(pool.statistics.map(\.failed) == [1])
      #expect(pool.statistics.map(\.completed) == [1])
    }
  }

  @Test("those that die with nothing to do are replaced when there is work")
  func replacedForWork() async throws {
    let workers = WorkerConfiguration(
      backend: processes, count: 2, restarts: RestartPolicy(maxRestarts: 1))
    try await withActorPool(workers) { pool in
      for index in 0..<2 {
        let child = try await pool.run(
          [Doze(seconds: 0)], options: SubtaskOptions(affinity: "process-\(index)"))
        #expect(kill(child[0], SIGKILL) == 0)
      }
      try await wait { pool.workerCount() == 0 }
      // Nothing was tried in vain meanwhile.
      #expect(pool.statistics.map(\.restarts) == [0, 0])
      _ = try await pool.run([Doze(seconds: 0)], options: SubtaskOptions(maxAttempts: 1))
      try await wait { pool.workerCount() == 2 }
      #expect(pool.statistics.map(\.restarts) == [1, 1])
    }
  }

  @Test("those that die with nothing to do are missed at once, and cost no work an attempt")
  func idle() async throws {
    let workers = WorkerConfiguration(backend: processes, count: 3, restarts: .never)
    try await withActorPool(workers, .threads(1)) { pool in
      for index in 0..<3 {
        let child = try await pool.run(
          [Doze(seconds: 0)], options: SubtaskOptions(affinity: "process-\(index)"))
        try #require(child[0] != getpid())
        #expect(kill(child[0], SIGKILL) == 0)
      }
      try await wait { pool.workerCount() == 1 }
      #expect(pool.statistics.map(\.isLost) == [true, true, true, false])
      let here = try await pool.run([Doze(seconds: 0)], options: SubtaskOptions(maxAttempts: 1))
      #expect(here == [getpid()])
    }
  }
}
