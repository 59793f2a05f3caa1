import ByzRuntime
import Testing

@Suite("ActorPool", .timeLimit(.minutes(3)))
struct ActorPoolTests {
  @Test("returns results in the order of the subtasks, whichever ends first")
  func order() async throws {
    let others = Signal()
    let results = try await withActorPool(.threads(2)) { pool in
      try await pool.run(
        Probe.make(20) { i in
          // The first waits for the last.
          if i == 0 { others.block() }
          if i == 19 { others.send() }
          return i * i
        })
    }
    #expect(results == (0..<20).map { $0 * $0 })
  }

  @Test("returns nothing for nothing")
  func nothing() async throws {
    let results = try await withActorPool(.threads(1)) { try await $0.run([Probe]()) }
    #expect(results.isEmpty)
  }

  @Test(
    "begins as many subtasks at once as there are workers, on different workers", arguments: [2, 4])
  func spread(workers: Int) async throws {
    // The barrier opens only when every worker is inside.
    let barrier = Barrier(parties: workers)
    let statistics = try await withActorPool(.threads(workers)) { pool in
      _ = try await pool.run(
        Probe.make(workers) { _ in
          barrier.wait()
          return 0
        })
      return pool.statistics
    }
    #expect(statistics.map(\.completed) == Array(repeating: 1, count: workers))
  }

  @Test("never has more subtasks in flight than workers, nor of one call than it allows")
  func bounded() async throws {
    let (pool, call) = (Occupancy(), Occupancy())
    try await withActorPool(.threads(3)) { actors in
      async let wide = actors.run(Probe.make(60) { i in pool.inside { i } })
      async let narrow = actors.run(
        Probe.make(60) { i in pool.inside { call.inside { i } } },
        options: SubtaskOptions(maxInFlight: 1))
      _ = try await (wide, narrow)
    }
    #expect(pool.most <= 3)
    #expect(call.most == 1)
  }

  @Test("serves 100 callers at once, each with its own results in order")
  func manyCallers() async throws {
    try await withActorPool(.threads(4)) { pool in
      let results = try await withThrowingTaskGroup(of: (Int, [Int]).self) { group in
        for caller in 0..<100 {
          group.addTask { (caller, try await pool.run(Probe.make(7) { caller * 10 + $0 })) }
        }
        return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
      }
      for caller in 0..<100 { #expect(results[caller] == (0..<7).map { caller * 10 + $0 }) }
      #expect(pool.statistics.map(\.completed).reduce(0, +) == 700)
    }
  }

  @Test("rethrows the error of a subtask, begins no more of its call, and stays usable")
  func errors() async throws {
    let begun = Log<Int>()
    try await withActorPool(.threads(2)) { pool in
      let subtasks = Probe.make(1000) { i in
        begun.append(i)
        if i == 1 { throw Failure(number: 1) }
        return i
      }
      await #expect(throws: Failure(number: 1)) {
        try await pool.run(subtasks, options: SubtaskOptions(maxInFlight: 1))
      }
      #expect(begun.entries == [0, 1])
      let value = try await pool.run(Probe.make(3) { $0 })
      #expect(value == [0, 1, 2])
      #expect(pool.statistics.map(\.failed).reduce(0, +) == 1)
    }
  }

  @Test("reports the error of the subtask that failed, not the cancellation that it caused")
  func errorBeforeCancellation() async throws {
    try await withActorPool(.threads(4)) { pool in
      for round in 0..<200 {
        await #expect(throws: Failure(number: round)) {
          try await pool.run(
            Probe.make(8) { i in
              if i == 2 { throw Failure(number: round) }
              try Task.checkCancellation()
              return i
            })
        }
      }
    }
  }

  @Test("on cancellation tells running subtasks, begins none of the others, and stays usable")
  func cancellation() async throws {
    let started = Barrier(parties: 3)
    let running = Signal()
    let cancelled = Signal()
    let seen = Log<Bool>()
    try await withActorPool(.threads(2)) { pool in
      let subtasks = Probe.make(50) { _ in
        started.wait()
        cancelled.block()
        seen.append(Task.isCancelled)
        return 0
      }
      let task = Task { try await pool.run(subtasks) }
      // Blocks a thread that is not one of Swift's until both workers are inside.
      let observer = ThreadWorker(name: "observer")
      _ = try await observer.run(
        Probe.make(1) { _ in
          started.wait()
          running.send()
          return 0
        }[0], operands: Operands())
      await running.wait()
      task.cancel()
      cancelled.send()
      await #expect(throws: CancellationError.self) { try await task.value }
      await observer.stop()
      #expect(seen.entries == [true, true])
      let value = try await pool.run(Probe.make(5) { $0 })
      #expect(value == [0, 1, 2, 3, 4])
    }
  }

  @Test("lets go of a caller that is cancelled while it waits for a worker, although all are busy")
  func cancellationWhileWaiting() async throws {
    let (started, release) = (Signal(), Signal())
    try await withActorPool(.threads(1)) { pool in
      let blocking = Probe.make(1) { _ in
        started.send()
        release.block()
        return 0
      }
      let first = Task { try await pool.run(blocking) }
      await started.wait()
      let second = Task { try await pool.run(Probe.make(1) { $0 }) }
      second.cancel()
      // The only worker is still inside the first call's subtask.
      await #expect(throws: CancellationError.self) { try await second.value }
      release.send()
      let value = try await first.value
      #expect(value == [0])
    }
  }

  @Test("gets every worker back from calls that fail, or whose callers are cancelled, among others")
  func failingAmongOthers() async throws {
    struct Expected: Error {}
    try await withActorPool(.threads(2)) { pool in
      for round in 0..<100 {
        await withTaskGroup(of: Void.self) { group in
          for call in 0..<6 {
            let task = Task {
              try await pool.run(
                Probe.make(4) { i in
                  if call % 3 == 0, i == (round + call) % 4 { throw Expected() }
                  return i
                })
            }
            group.addTask {
              if call % 3 == 1 { task.cancel() }
              _ = await task.result
            }
          }
        }
      }
      // Nobody has kept one: both are needed at once.
      let barrier = Barrier(parties: 2)
      _ = try await pool.run(
        Probe.make(2) { i in
          barrier.wait()
          return i
        })
    }
  }

  @Test(
    "begins nothing for a caller that is cancelled already, and keeps no worker for it",
    arguments: [nil, Duration.seconds(60)])
  func cancelledBefore(timeout: Duration?) async throws {
    let begun = Log<Int>()
    try await withActorPool(.threads(2)) { pool in
      let task = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        return try await pool.run(
          Probe.make(5) { i in
            begun.append(i)
            return i
          }, options: SubtaskOptions(timeout: timeout))
      }
      await #expect(throws: CancellationError.self) { try await task.value }
      #expect(begun.entries.isEmpty)
      let barrier = Barrier(parties: 2)
      _ = try await pool.run(
        Probe.make(2) { i in
          barrier.wait()
          return i
        })
    }
  }

  @Test("sends work to workers that have what it requires, and refuses at once what none has")
  func capabilities() async throws {
    let configurations: [WorkerConfiguration] = [
      .threads(2), .threads(1, capabilities: [.cpu, "gpu"], name: "accelerated"),
    ]
    try await withActorPool(configurations) { pool in
      _ = try await pool.run(Probe.make(9) { $0 }, options: SubtaskOptions(capability: "gpu"))
      #expect(pool.statistics.map(\.completed) == [0, 0, 9])
      #expect(pool.workerCount(offering: "gpu") == 1)
      #expect(pool.workerCount() == 3)
      let code = await runtimeError {
        try await pool.run(Probe.make(1) { $0 }, options: SubtaskOptions(capability: "tpu"))
      }
      #expect(code == .noCapableWorker)
    }
  }

  @Test("prefers the worker it is asked for, but does not wait for it")
  func affinity() async throws {
    let options = SubtaskOptions(affinity: "thread-2")
    try await withActorPool(.threads(3)) { pool in
      for _ in 0..<5 { _ = try await pool.run(Probe.make(1) { $0 }, options: options) }
      #expect(pool.statistics.map(\.completed) == [0, 0, 5])
      // Three that meet can only be on three workers.
      let barrier = Barrier(parties: 3)
      _ = try await pool.run(
        Probe.make(3) { i in
          barrier.wait()
          return i
        }, options: options)
      #expect(pool.statistics.map(\.completed) == [1, 1, 6])
    }
  }

  @Test("tells what each worker did, and starts none before it has work")
  func statistics() async throws {
    try await withActorPool(.threads(2), .threads(1, capabilities: ["disk"], name: "reader")) {
      pool in
      #expect(pool.statistics.map(\.isStarted) == [false, false, false])
      _ = try await pool.run(Probe.make(1) { $0 })
      let statistics = pool.statistics
      #expect(statistics.map(\.name) == ["thread-0", "thread-1", "reader-0"])
      #expect(statistics.map(\.backend) == ["thread", "thread", "thread"])
      #expect(statistics.map(\.capabilities) == [[.cpu], [.cpu], ["disk"]])
      #expect(statistics.map(\.isStarted) == [true, false, false])
      #expect(statistics.map(\.completed) == [1, 0, 0])
      #expect(statistics[0].busyTime > .zero && statistics[1].busyTime == .zero)
      #expect(statistics.allSatisfy { !$0.isLost })
    }
  }
}
