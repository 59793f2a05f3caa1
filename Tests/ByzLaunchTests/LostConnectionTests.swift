import ByzRuntime
import ByzTCP
import Testing

@Suite("An actor whose connection breaks", .serialized, .timeLimit(.minutes(1)))
struct LostConnectionTests {
  private let registry = Registry(actors: [Postman.self])

  private func withProxy(
    _ body: (ByzActorSystem, ResettingProxy, TCPBackend) async throws -> Void
  ) async throws {
    try await withWorkerServer(registry: registry) { server in
      let proxy = try ResettingProxy(to: try TCPAddress(server.address).port)
      defer { proxy.stop() }
      try await withActorSystem(registry) { system in
        try await body(system, proxy, .tcp("127.0.0.1:\(proxy.port)"))
      }
      // What was made for a connection goes with it.
      while server.connectionCount > 0 { await Task.yield() }
    }
  }

  @Test(
    "is gone with it: the call under way and every later one say so, and another can be spawned")
  func reset() async throws {
    try await withProxy { system, proxy, backend in
      let lost = try await system.spawn(Postman.self, 0, on: backend)
      _ = try await lost.open("in")
      let underWay = Task { try await lost.received(1, from: 0) }
      proxy.reset()
      let error = await #expect(throws: RuntimeError.self) { try await underWay.value }
      #expect(error?.code == .workerLost)
      while system.connection(to: lost.id.host) != nil { await Task.yield() }
      let later = await #expect(throws: RuntimeError.self) { try await lost.open("again") }
      #expect(later?.code == .workerLost)
      #expect(later?.message.contains("spawn it again") == true, "\(String(describing: later))")
      // The same backend connects anew; the new actor knows nothing of the old one.
      let new = try await system.spawn(Postman.self, 0, on: backend)
      #expect(new.id != lost.id)
      _ = try await new.open("in")
    }
  }
}
