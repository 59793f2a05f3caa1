import ByzRuntime
import ByzRuntimeTestSupport
import Testing

@Suite("Time limits of subtasks", .timeLimit(.minutes(3)))
struct TimeoutTests {
  private let limit = SubtaskOptions(timeout: .seconds(1))

  @Test("let the caller go when a thread is late, tell the subtask, and keep the worker busy")
  func late() async throws {
    let (started, release) = (Signal(), Signal())
    let seen = Log<Bool>()
    let clock = ManualClock()
    try await withActorPool([.threads(2)], clock: RuntimeClock(clock)) { pool in
      let stuck = Probe.make(1) { i in
        started.send()
        release.block()
        seen.append(Task.isCancelled)
        return i
      }
      let call = Task { try await pool.run(stuck, options: limit) }
      await started.wait()
      await clock.sleepers(1)
      clock.advance(by: .seconds(1))
      #expect(await runtimeError { try await call.value } == .deadlineExceeded)
      // One worker has still not come back: the other does everything.
      let before = pool.statistics.map(\.completed)
      _ = try await pool.run(Probe.make(6) { $0 })
      #expect(zip(pool.statistics.map(\.completed), before).map(-) == [0, 6])
      release.send()
    }
    #expect(seen.entries == [true])
  }

  @Test("give the worker back when the late subtask has ended")
  func givenBack() async throws {
    let (started, release) = (Signal(), Signal())
    let clock = ManualClock()
    try await withActorPool([.threads(1)], clock: RuntimeClock(clock)) { pool in
      let stuck = Probe.make(1) { i in
        started.send()
        release.block()
        return i
      }
      let call = Task { try await pool.run(stuck, options: limit) }
      await started.wait()
      await clock.sleepers(1)
      clock.advance(by: .seconds(1))
      _ = await call.result
      async let next = pool.run(Probe.make(2) { $0 })
      release.send()
      let values = try await next
      #expect(values == [0, 1])
      #expect(pool.statistics.map(\.failed) == [1])
    }
  }

  @Test("leave no worker busy when subtasks end just as their time does")
  func onTime() async throws {
    try await withActorPool(.threads(1)) { pool in
      for _ in 0..<300 {
        let subtasks = Probe.make(3) { i in
          let end = ContinuousClock.now + .microseconds(.random(in: 300...700))
          while .now < end {}
          return i
        }
        _ = try? await pool.run(subtasks, options: SubtaskOptions(timeout: .microseconds(500)))
      }
      let values = try await pool.run(Probe.make(1) { $0 })
      #expect(values == [0])
    }
  }

  @Test(
    "do not change the results, errors and order of those that are in time",
    arguments: [600, Int64.max])
  func inTime(seconds: Int64) async throws {
    try await withActorPool(.threads(3)) { pool in
      let options = SubtaskOptions(timeout: .seconds(seconds))
      let values = try await pool.run(Probe.make(30) { $0 * $0 }, options: options)
      #expect(values == (0..<30).map { $0 * $0 })
      await #expect(throws: Failure(number: 3)) {
        try await pool.run(
          Probe.make(9) { i in
            if i == 3 { throw Failure(number: 3) }
            return i
          }, options: options)
      }
    }
  }

  @Test("count from the start on a worker, not while the subtask waits for one")
  func waitingIsFree() async throws {
    let (started, release) = (Signal(), Signal())
    let clock = ManualClock()
    try await withActorPool([.threads(1)], clock: RuntimeClock(clock)) { pool in
      let blocking = Probe.make(1) { i in
        started.send()
        release.block()
        return i
      }
      async let first = pool.run(blocking)
      await started.wait()
      async let second = pool.run(Probe.make(1) { $0 + 5 }, options: limit)
      clock.advance(by: .seconds(100))
      release.send()
      let (one, two) = try await (first, second)
      #expect(one + two == [0, 5])
    }
  }

  /// Calls a pool from another task than its own, which is cancelled when `call` has sent `started`.
  private func expectCancelled<R>(
    _ started: Signal, _ call: @escaping @Sendable (ActorPool) async throws -> R
  ) async throws where R: Sendable {
    let ended = Signal()
    let (pools, given) = AsyncStream.makeStream(of: ActorPool.self)
    let owner = Task {
      try await withActorPool(.threads(1)) { pool in
        given.yield(pool)
        await ended.wait()
      }
    }
    let pool = try #require(await pools.first { _ in true })
    let caller = Task { try await call(pool) }
    await started.wait()
    owner.cancel()
    await #expect(throws: CancellationError.self) { try await caller.value }
    ended.send()
    try await owner.value
  }

  @Test(
    "let callers in other tasks go when the pool's own is cancelled: nobody keeps the time then",
    arguments: [false, true])
  func cancelledPool(heeds: Bool) async throws {
    let (started, release) = (Signal(), Signal())
    let subtask = Probe.make(1) { i in
      started.send()
      if heeds { while !Task.isCancelled {} } else { release.block() }
      return i
    }
    try await expectCancelled(started) { pool in
      defer { release.send() }
      return try await pool.run(subtask, options: SubtaskOptions(timeout: .seconds(3600)))
    }
  }

  @Test(
    "let those go who gather in other tasks when the pool's own is cancelled", arguments: [1, nil])
  func cancelledGathering(maxInFlight: Int?) async throws {
    for _ in 0..<20 {
      let (started, release) = (Signal(), Signal())
      let subtasks = Probe.make(100) { i in
        started.send()
        release.block()
        return i
      }
      try await expectCancelled(started) { pool in
        defer { release.send() }
        return try await pool.gather(
          subtasks, options: SubtaskOptions(maxInFlight: maxInFlight), until: Quorum(100))
      }
    }
  }

  @Test("let those go, too, who begin to gather when the pool's own is cancelled already")
  func lateGathering() async throws {
    let (isThere, isCancelled) = (Signal(), Signal())
    let owner = Task {
      try await withActorPool(.threads(1)) { pool in
        isThere.send()
        await isCancelled.wait()
        for _ in 0..<50 {
          await #expect(throws: CancellationError.self) {
            try await Task {
              try await pool.gather(Probe.make(200) { $0 }, until: Quorum(200))
            }.value
          }
        }
      }
    }
    await isThere.wait()
    owner.cancel()
    isCancelled.send()
    try await owner.value
  }

  @Test("let a cancelled caller go without waiting for the subtask")
  func cancelled() async throws {
    let (started, release) = (Signal(), Signal())
    try await withActorPool(.threads(1)) { pool in
      let stuck = Probe.make(1) { i in
        started.send()
        release.block()
        return i
      }
      let call = Task { try await pool.run(stuck, options: limit) }
      await started.wait()
      call.cancel()
      await #expect(throws: CancellationError.self) { try await call.value }
      release.send()
    }
  }
}
