import ByzRuntime
import ByzTCP
import ByzUCX
import Distributed
import Testing

@Suite("An actor whose connection breaks", .serialized, .timeLimit(.minutes(3)))
struct LostConnectionTests {
  private let registry = PlaceWorker.registry

  /// A host that keeps actors for `limit`, behind a proxy that can break connections.
  private func withProxy(
    keeping limit: Duration = .seconds(3600),
    liveness: Liveness = Liveness(interval: .seconds(1), timeout: .seconds(60)),
    usesTLS: Bool = false,
    _ body: (ByzActorSystem, ResettingProxy, TCPBackend, WorkerServer) async throws -> Void
  ) async throws {
    var options = WorkerServerOptions()
    options.returnLimit = limit
    var listener = TCPListenerOptions()
    var client = TCPOptions()
    if usesTLS {
      listener.tls = TLSOptions(
        certificateChainFile: certificate("server.pem"), privateKeyFile: certificate("server.key"))
      client.tls = TLSOptions(trustRootsFile: certificate("ca.pem"))
    }
    // The server's end waits for no client that has not come again.
    try await withWorkerServer(registry: registry, listener: listener, options: options) { server in
      let proxy = try ResettingProxy(to: try TCPAddress(server.address).port)
      defer { proxy.stop() }
      try await withActorSystem(registry, liveness: liveness) { system in
        try await body(system, proxy, .tcp("127.0.0.1:\(proxy.port)", client), server)
      }
      while server.connectionCount > 0 { await Task.yield() }
    }
  }

  private func breakConnection(to clerk: some RemoteActor, of system: ByzActorSystem) async {
    let peer = system.connection(to: clerk.id.host)
    peer?.link.close(RuntimeError(.workerLost, "The test broke the connection."))
    _ = await peer?.waitUntilEnded()
  }

  /// How often the actor has been called, once a call is not lost: the connection may still be about to break.
  private func answer(of clerk: Clerk) async throws -> Int {
    while true {
      do {
        return try await clerk.next()[0]
      } catch let error as RuntimeError
        where error.code == .workerLost && !error.message.contains("spawn it again")
      {
        try Task.checkCancellation()
      }
    }
  }

  private func expectLost(
    forEver: Bool = true, _ call: () async throws -> some Sendable,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    let error = await #expect(throws: RuntimeError.self, sourceLocation: sourceLocation) {
      _ = try await call()
    }
    #expect(error?.code == .workerLost, sourceLocation: sourceLocation)
    #expect(
      error?.message.contains("spawn it again") == forEver, "\(String(describing: error))",
      sourceLocation: sourceLocation)
  }

  @Test("is found again as it was: the call under way is lost, and cancelled there")
  func reset() async throws {
    try await withProxy { system, proxy, backend, server in
      let clerk = try await system.spawn(Clerk.self, 0, on: backend)
      for count in 1...3 {
        #expect(try await clerk.next() == [count, 1])
        let underWay = Task { try await clerk.waitForCancellation() }
        try await clerk.waitUntilBegun()
        proxy.reset()
        let error = await #expect(throws: RuntimeError.self) { try await underWay.value }
        #expect(error?.code == .workerLost)
        // At once: who has heard that a call is lost finds the next connection.
        try await clerk.waitUntilCancelled()
      }
      #expect(try await clerk.next() == [4, 1])
      // An attempt that fails is repeated.
      #expect(server.totals.connections >= 4)
    }
  }

  @Test("is looked for by one of those who call, and found for all")
  func manyCallers() async throws {
    try await withProxy { system, _, backend, server in
      let clerk = try await system.spawn(Clerk.self, 0, on: backend)
      await breakConnection(to: clerk, of: system)
      let answers = try await withThrowingTaskGroup(of: [Int].self) { group in
        for _ in 0..<50 { group.addTask { try await clerk.next() } }
        return try await group.reduce(into: [[Int]]()) { $0.append($1) }
      }
      #expect(answers.map { $0[0] }.sorted() == Array(1...50))
      #expect((2..<10).contains(server.totals.connections))
      await system.stop(clerk)
      await expectLost { try await clerk.next() }
    }
  }

  @Test("is found again over UCX, too", .enabled(if: UCX.isAvailable))
  func ucx() async throws {
    try await Place.ucx.withBackend { (backend) async throws -> Void in
      try await withActorSystem(registry) { (system) async throws -> Void in
        let clerk = try await system.spawn(Clerk.self, 0, on: backend)
        for count in 1...3 {
          #expect(try await clerk.next() == [count, 1])
          await breakConnection(to: clerk, of: system)
        }
        #expect(try await clerk.next() == [4, 1])
      }
    }
  }

  @Test("sends and gets mail in its own name when it is found again")
  func mail() async throws {
    try await withProxy { system, proxy, backend, _ in
      let postman = try await system.spawn(Postman.self, 0, on: backend)
      let address = try await postman.open("in")
      let inbox = try system.mailbox(named: "here", of: String.self, capacity: 4)
      proxy.reset()
      while system.connection(to: postman.id.host) != nil { await Task.yield() }
      // Mail looks for it as calls do.
      try await system.send("to the worker", to: address)
      #expect(try await postman.received(1, from: system.host) == ["to the worker"])
      try await postman.deliver(["to the client"], to: inbox.address)
      let letter = await inbox.receive()
      #expect(letter?.value == "to the client" && letter?.sender == postman.id.host)
    }
  }

  @Test("gets mail from other workers, and sends them some, when it is found again")
  func siblings() async throws {
    try await withProxy { system, proxy, backend, _ in
      let one = try await system.spawn(Postman.self, 0, on: backend)
      let other = try await system.spawn(Postman.self, 0, on: backend)
      let (here, there) = (try await one.open("in"), try await other.open("in"))
      for round in 1...3 {
        for postman in [one, other] { await breakConnection(to: postman, of: system) }
        if round == 2 {
          // That between the two, too.
          proxy.reset()
          while try await one.isConnected(to: other.id.host) { await Task.yield() }
          while try await other.isConnected(to: one.id.host) { await Task.yield() }
          for postman in [one, other] { await breakConnection(to: postman, of: system) }
        }
        // Mail to one that is away goes through the client, who looks for it; the next takes the direct way.
        try await one.deliver(["by the client"], to: there)
        #expect(try await other.received(1, from: one.id.host) == ["by the client"])
        async let letters = other.received(1, from: one.id.host)
        try await one.deliver(["there"], to: there)
        #expect(try await letters == ["there"])
        async let answers = one.received(1, from: other.id.host)
        try await other.deliver(["back"], to: here)
        #expect(try await answers == ["back"])
      }
      #expect(system.mailPassedOn == 2)
    }
  }

  @Test("is not looked for where its host has said goodbye")
  func hostLeaves() async throws {
    try await withProxy { system, proxy, backend, server in
      let clerk = try await system.spawn(Clerk.self, 0, on: backend)
      server.drain()
      while system.connection(to: clerk.id.host) != nil { await Task.yield() }
      await expectLost { try await clerk.next() }
    }
  }

  @Test("is gone where none are kept, and another can be spawned")
  func notKept() async throws {
    try await withProxy(keeping: .zero) { system, proxy, backend, _ in
      let lost = try await system.spawn(Clerk.self, 0, on: backend)
      proxy.reset()
      while system.connection(to: lost.id.host) != nil { await Task.yield() }
      await expectLost { try await lost.next() }
      // Not looked for a second time.
      proxy.stop()
      await expectLost { try await lost.next() }
    }
  }

  @Test("is not lost by callers in a hurry, nor while the network breaks again and again")
  func flapping() async throws {
    try await withProxy { system, proxy, backend, _ in
      let clerk = try await system.spawn(Clerk.self, 0, on: backend)
      for time in 0..<30 {
        proxy.reset()
        _ = try? await withDeadline(.microseconds(300 * time)) { try await clerk.next() }
      }
      let before = try await answer(of: clerk)
      async let answers = withTaskGroup(of: [Int]?.self) { group in
        for _ in 0..<100 { group.addTask { try? await clerk.next() } }
        return await group.reduce(into: [[Int]]()) { if let answer = $1 { $0.append(answer) } }
      }
      for _ in 0..<20 {
        proxy.reset()
        for _ in 0..<200 { await Task.yield() }
      }
      let counts = await answers.map { $0[0] }
      // Calls that were lost may have been carried out; those that were answered were, once each.
      #expect(Set(counts).count == counts.count && counts.allSatisfy { $0 > before })
      #expect(try await answer(of: clerk) > (counts.max() ?? before))
    }
  }

  @Test(
    "is found when connections are closed before they are made, with TLS or without",
    arguments: [false, true])
  func refusing(usesTLS: Bool) async throws {
    let liveness = Liveness(interval: .seconds(1), timeout: .seconds(30))
    try await withProxy(liveness: liveness, usesTLS: usesTLS) { system, proxy, backend, _ in
      let clerk = try await system.spawn(Clerk.self, 0, on: backend)
      proxy.setRefusing(true)
      proxy.reset()
      // Several attempts fail, and the caller gives up.
      let hasty = await #expect(throws: RuntimeError.self) {
        try await withDeadline(.milliseconds(500)) { try await clerk.next() }
      }
      #expect(hasty?.code == .deadlineExceeded || hasty?.code == .workerLost)
      let count = proxy.refusalCount
      async let answer = clerk.next()
      while proxy.refusalCount < count + 3 { await Task.yield() }
      proxy.setRefusing(false)
      #expect(try await answer == [1, 1])
    }
  }

  @Test("is looked for no more when it is stopped meanwhile")
  func stopped() async throws {
    try await withProxy { system, proxy, backend, _ in
      let clerk = try await system.spawn(Clerk.self, 0, on: backend)
      proxy.setRefusing(true)
      await breakConnection(to: clerk, of: system)
      let answer = Task { try await clerk.next() }
      while proxy.refusalCount == 0 { await Task.yield() }
      await system.stop(clerk)
      proxy.setRefusing(false)
      await expectLost { try await answer.value }
    }
  }

  @Test("is not kept for clients that have said goodbye")
  func goodbye() async throws {
    try await withProxy { _, _, backend, server in
      for _ in 0..<20 {
        try await withActorSystem(registry) { (system) async throws -> Void in
          _ = try await system.spawn(Clerk.self, 0, on: backend).next()
        }
        while server.connectionCount > 0 { await Task.yield() }
      }
      #expect(server.absentClientCount == 0)
    }
  }

  @Test("is looked for no longer than the time for signs of life")
  func unreachable() async throws {
    let liveness = Liveness(interval: .milliseconds(100), timeout: .seconds(4))
    try await withProxy(liveness: liveness) { system, proxy, backend, _ in
      let clerk = try await system.spawn(Clerk.self, 0, on: backend)
      proxy.stop()
      while system.connection(to: clerk.id.host) != nil { await Task.yield() }
      // A caller in a hurry, and one who is cancelled, do not decide it for others.
      let hasty = await #expect(throws: RuntimeError.self) {
        try await withDeadline(.milliseconds(50)) { try await clerk.next() }
      }
      #expect(hasty?.code == .deadlineExceeded)
      let cancelled = Task { try await clerk.next() }
      cancelled.cancel()
      await #expect(throws: CancellationError.self) { try await cancelled.value }
      let begin = ContinuousClock.now
      await withTaskGroup { group in
        for _ in 0..<20 {
          group.addTask { await expectLost(forEver: false) { try await clerk.next() } }
        }
      }
      // All wait for one search: twenty, one after another, would take eighty seconds.
      #expect(ContinuousClock.now - begin < .seconds(40))
      // Nor does that search decide it for later ones.
      await expectLost(forEver: false) { try await clerk.next() }
    }
  }
}
