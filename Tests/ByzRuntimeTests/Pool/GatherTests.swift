import ByzRuntime
import ByzRuntimeTestSupport
import Testing

@Suite("Gathering a quorum", .timeLimit(.minutes(3)))
struct GatherTests {
  @Test("waits for all before the deadline, and for a quorum after it")
  func state() {
    #expect(over([.returned, .returned, .returned]) == [false, false, true])
    #expect(over([.deadlinePassed, .returned, .returned]) == [false, false, true])
    #expect(over([.returned, .returned, .deadlinePassed]) == [false, false, true])
    #expect(over([.returned, .failed, .deadlinePassed, .returned]) == [false, false, false, true])
  }

  @Test("ends at once when too many have failed")
  func impossibleState() {
    #expect(over([.returned, .failed, .failed]) == [false, false, true])
  }

  @Test("waits for nobody beyond the limit")
  func limitedState() {
    #expect(over([.returned, .deadlinePassed, .limitPassed]) == [false, false, true])
  }

  /// Whether two of three are enough, after each event.
  private func over(_ events: [GatherState.Event]) -> [Bool] {
    var state = GatherState(count: 3, quorum: 2)
    return events.map { state.handle($0) }
  }

  @Test("returns without those that are late, in the order of the subtasks")
  func quorum() async throws {
    let release = Signal()
    let arrived = Barrier(parties: 4)
    let clock = ManualClock()
    try await withActorPool([.threads(4)], clock: RuntimeClock(clock)) { pool in
      let subtasks = Probe.make(4) { i in
        arrived.wait()
        if i == 1 { release.block() }
        return 10 * i
      }
      let call = Task { try await pool.gather(subtasks, until: Quorum(3, deadline: .seconds(2))) }
      await clock.sleepers(1)
      clock.advance(by: .seconds(2))
      let gathering = try await call.value
      #expect(gathering.participants == [0, 2, 3])
      #expect(gathering.outcomes.map(describe) == ["0", "late", "20", "30"])
      release.send()
    }
  }

  @Test("ends at its limit though subtasks that go on keep the others from every worker")
  func limit() async throws {
    let (release, held) = (Signal(), [Signal(), Signal()])
    let clock = ManualClock()
    try await withActorPool([.threads(2)], clock: RuntimeClock(clock)) { pool in
      let subtasks = Probe.make(5) { i in
        if i < 2 {
          held[i].send()
          release.block()
        }
        return i
      }
      let quorum = Quorum(3, deadline: .seconds(1), limit: .seconds(9))
      let call = Task { await runtimeError { try await pool.gather(subtasks, until: quorum) } }
      for signal in held { await signal.wait() }
      await clock.sleepers(2)
      clock.advance(by: .seconds(9))
      #expect(await call.value == .quorumNotReached)
      #expect(pool.statistics.map(\.completed) == [0, 0])
      release.send()
    }
  }

  @Test("has all that arrive before the deadline, whichever is last")
  func all() async throws {
    try await withActorPool(.threads(3)) { pool in
      let others = Signal()
      let subtasks = Probe.make(3) { i in
        if i == 0 { others.block() }
        if i == 2 { others.send() }
        return i
      }
      let gathering = try await pool.gather(subtasks, until: Quorum(1, deadline: .seconds(600)))
      #expect(gathering.participants == [0, 1, 2])
    }
  }

  @Test("counts a subtask that throws as failed, and goes on with the others")
  func failures() async throws {
    try await withActorPool(.threads(2)) { pool in
      let subtasks = Probe.make(5) { i in
        if i == 2 { throw Failure(number: 2) }
        return i
      }
      let gathering = try await pool.gather(subtasks, until: Quorum(4))
      #expect(gathering.outcomes.map(describe) == ["0", "1", "Failure(number: 2)", "3", "4"])
      let code = await runtimeError { try await pool.gather(subtasks, until: Quorum(5)) }
      #expect(code == .quorumNotReached)
    }
  }

  @Test("refuses a quorum that no number of answers is")
  func impossible() async throws {
    try await withActorPool(.threads(1)) { pool in
      for count in [-1, 4] {
        let code = await runtimeError {
          try await pool.gather(Probe.make(3) { $0 }, until: Quorum(count))
        }
        #expect(code == .invalidConfiguration)
      }
    }
  }

  @Test(
    "runs subtask i on the worker it prefers while that is idle, and no more at once than allowed")
  func affinity() async throws {
    let occupancy = Occupancy()
    try await withActorPool(.threads(3)) { pool in
      let one = SubtaskOptions(maxInFlight: 1)
      _ = try await pool.gather(
        Probe.make(6) { i in occupancy.inside { i } }, options: one,
        preferring: ["thread-2", "thread-1"], until: Quorum(6))
      #expect(pool.statistics.map(\.completed) == [0, 3, 3])
    }
    #expect(occupancy.most == 1)
  }

  @Test("begins none of what has not begun when it is over, and tells what runs")
  func cancelsTheRest() async throws {
    let (started, release) = (Signal(), Signal())
    let seen = Log<Bool>()
    let clock = ManualClock()
    try await withActorPool([.threads(1)], clock: RuntimeClock(clock)) { pool in
      let subtasks = Probe.make(3) { i in
        started.send()
        release.block()
        seen.append(Task.isCancelled)
        return i
      }
      let call = Task { try await pool.gather(subtasks, until: Quorum(0, deadline: .seconds(1))) }
      await started.wait()
      await clock.sleepers(1)
      clock.advance(by: .seconds(1))
      let participants = try await call.value.participants
      #expect(participants == [])
      release.send()
    }
    #expect(seen.entries == [true])
  }

  @Test("lets a cancelled caller go without waiting for the subtasks")
  func cancelled() async throws {
    let (started, release) = (Signal(), Signal())
    try await withActorPool(.threads(1)) { pool in
      let subtasks = Probe.make(1) { i in
        started.send()
        release.block()
        return i
      }
      let call = Task { try await pool.gather(subtasks, until: Quorum(1)) }
      await started.wait()
      call.cancel()
      await #expect(throws: CancellationError.self) { try await call.value }
      release.send()
    }
  }

  private func describe(_ outcome: Gathering<Int>.Outcome) -> String {
    switch outcome {
    case .returned(let value): "\(value)"
    case .failed(let error): "\(error)"
    case .late: "late"
    }
  }
}
