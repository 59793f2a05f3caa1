import ByzRuntime
import Distributed
import Testing

struct Refusal: Error, Codable, Equatable { let number: Int }

/// Says what becomes of its calls.
distributed actor Clerk: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private let began = AsyncStream.makeStream(of: Void.self)
  private let cancelled = AsyncStream.makeStream(of: Void.self)
  private var isBusy = false
  private var count = 0

  init(_ arguments: Int, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  /// Waits until its task is cancelled.
  distributed func waitForCancellation() async throws {
    let never = AsyncStream.makeStream(of: Void.self)
    began.continuation.yield()
    for await _ in never.stream {}
    cancelled.continuation.yield()
    try Task.checkCancellation()
  }

  /// Returns when a call of ``waitForCancellation()`` has begun.
  distributed func waitUntilBegun() async { for await _ in began.stream { return } }

  /// Returns when a call of ``waitForCancellation()`` has been cancelled.
  distributed func waitUntilCancelled() async { for await _ in cancelled.stream { return } }

  /// What is left of the time for the call, in seconds.
  distributed func timeLeft() -> Double? { CallDeadline.timeLeft.map { $0 / .seconds(1) } }

  /// What is left for a call that this one makes.
  distributed func timeLeft(at other: Clerk) async throws -> Double? { try await other.timeLeft() }

  /// The number of this call, and whether no other was between its beginning and its end.
  distributed func next() -> [Int] {
    let wasAlone = !isBusy
    isBusy = true
    defer { isBusy = false }
    count += 1
    // Long enough for another to come.
    let end = ContinuousClock.now + .microseconds(200)
    while ContinuousClock.now < end {}
    return [count, wasAlone ? 1 : 0]
  }

  distributed func refuse(_ number: Int) throws {
    count += 1
    throw Refusal(number: number)
  }
}

@Suite("An actor, wherever it lives", .serialized, .timeLimit(.minutes(3)))
struct ActorPlaceTests {
  private func withClerk(
    at place: Place, _ body: (Clerk, ByzActorSystem) async throws -> Void
  ) async throws {
    try await place.withBackend { (backend) async throws -> Void in
      try await withActorSystem(PlaceWorker.registry) { (system) async throws -> Void in
        try await body(try await system.spawn(Clerk.self, 0, on: backend), system)
      }
    }
  }

  @Test("is told that its caller was cancelled, and answers others", arguments: Place.all)
  func cancellation(at place: Place) async throws {
    try await withClerk(at: place) { (clerk, _) async throws -> Void in
      for _ in 0..<3 {
        let call = Task { try await clerk.waitForCancellation() }
        try await clerk.waitUntilBegun()
        call.cancel()
        try await clerk.waitUntilCancelled()
        await #expect(throws: CancellationError.self) { try await call.value }
      }
      #expect(try await clerk.next() == [1, 1])
    }
  }

  @Test("knows how long its caller waits, as do those it calls in turn", arguments: Place.all)
  func deadlines(at place: Place) async throws {
    try await withClerk(at: place) { (clerk, system) async throws -> Void in
      let local = try await system.spawn(Clerk.self, 0, on: .thread)
      #expect(try await clerk.timeLeft() == nil)
      #expect(try await clerk.timeLeft(at: local) == nil)
      try await withDeadline(.seconds(3600)) {
        for limit in [60.0, 7200] {
          let times = try await withDeadline(.seconds(limit)) {
            try await [clerk.timeLeft(), clerk.timeLeft(at: local)]
          }
          for time in times {
            let time = try #require(time)
            #expect(time > 0 && time <= min(limit, 3600))
          }
        }
      }
      let error = await #expect(throws: RuntimeError.self) {
        try await withDeadline(.milliseconds(50)) { try await clerk.waitForCancellation() }
      }
      #expect(error?.code == .deadlineExceeded)
      // Whether or not the call got so far as to begin.
      #expect(try await clerk.next() == [1, 1])
    }
  }

  @Test("carries out one call at a time, and each once", arguments: Place.all)
  func oneAtATime(at place: Place) async throws {
    try await withClerk(at: place) { (clerk, _) async throws -> Void in
      let answers = try await withThrowingTaskGroup(of: [Int].self) { group in
        for _ in 0..<100 { group.addTask { try await clerk.next() } }
        return try await group.reduce(into: [[Int]]()) { $0.append($1) }
      }
      #expect(answers.map { $0[0] }.sorted() == Array(1...100))
      #expect(answers.allSatisfy { $0[1] == 1 })
    }
  }

  @Test("throws its own errors, and goes on with what it had become", arguments: Place.all)
  func errors(at place: Place) async throws {
    try await withClerk(at: place) { (clerk, _) async throws -> Void in
      for number in 1...3 {
        await #expect(throws: Refusal(number: number)) { try await clerk.refuse(number) }
      }
      #expect(try await clerk.next() == [4, 1])
    }
  }
}
