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
