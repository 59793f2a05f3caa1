import ByzRuntime
import Distributed
import Testing

/// Tells of its end.
distributed actor Mortal: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  static let end = Signal()

  init(_ arguments: Int, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  deinit { Self.end.send() }
}

/// Has the one who calls it stopped.
distributed actor Judge: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private var accused: Accused?

  init(_ arguments: Int, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  func watch(_ accused: Accused) { self.accused = accused }

  distributed func stopCaller() async {
    guard let accused else { return }
    await actorSystem.stop(accused)
    self.accused = nil
  }

  var hasStopped: Bool { accused == nil }
}

distributed actor Accused: RemoteActor {
  typealias ActorSystem = ByzActorSystem

  init(_ arguments: Int, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  distributed func call(_ judge: Judge) async throws { try await judge.stopCaller() }
}

@Suite("The life of an actor", .timeLimit(.minutes(3)))
struct LifetimeTests {
  @Test("an actor goes with the connection it was made for (ByzPy's live for ever)")
  func lifetime() async throws {
    let registry = Registry(actors: [Mortal.self])
    let backend = MemoryBackend(registry: registry)
    try await withActorSystem(registry) { (system) async throws -> Void in
      let standIn = try await system.spawn(Mortal.self, 0, on: backend)
      backend.breakLinks()
      // The actor itself, since what stands in for it is here until the scope ends.
      await Mortal.end.wait()
      withExtendedLifetime(standIn) {}
    }
  }

  @Test("an actor may be stopped in a call that it makes")
  func stoppedByCallee() async throws {
    let registry = Registry(actors: [Judge.self, Accused.self])
    try await withActorSystem(registry) { (system) async throws -> Void in
      let judge = Judge(0, actorSystem: system)
      let accused = try await system.spawn(
        Accused.self, 0, on: MemoryBackend(registry: registry))
      await judge.whenLocal { $0.watch(accused) }
      let error = await #expect(throws: RuntimeError.self) { try await accused.call(judge) }
      #expect(error?.code == .workerLost)
      while await judge.whenLocal({ !$0.hasStopped }) == true {
        try Task.checkCancellation()
        await Task.yield()
      }
    }
  }

  @Test("a connection that has ended leaves nothing of itself with the worker")
  func endedConnection() async {
    weak var link: MemoryLink?
    do {
      let (here, there) = MemoryLink.pair()
      link = there
      here.close(RuntimeError(.stopped, "The test ends the connection."))
      await serveAsWorker(there, registry: Registry(), isSameProgram: true)
    }
    #expect(link == nil)
  }
}
