import ByzRuntime
import ByzTensor
import Testing

/// Two ends of one connection to a server whose sessions share a lobby.
private struct Client {
  let peer: Peer
  let session: Task<Void, Never>

  /// - Parameter door: what the session waits for, once its connection has ended, before it does.
  init(
    of lobby: Lobby, keeping limit: Duration = .seconds(3600), after door: Signal? = nil
  ) async throws {
    let registry = Registry(actors: [Ledger.self])
    let (here, there) = MemoryLink.pair()
    session = Task {
      let session = WorkerSession(there, registry: registry, lobby: lobby, isSameProgram: true)
      let reason = await session.serve()
      await door?.wait()
      await session.end(reason, keeping: limit)
    }
    let system = ByzActorSystem(registry: registry)
    peer = Peer(link: here, hello: system.hello(namesBLAS: false))
    try await peer.open()
  }

  func ask(_ service: Service) async throws -> WireValue {
    let answer = try await peer.call(body: service.value.serialized())
    return try answer.result(registry: Registry(), limits: WireLimits())
  }

  /// Makes an actor, and says its number.
  func spawn(key: UInt64?) async throws -> UInt64 {
    let answer = try await ask(
      .spawn(type: "ByzRuntimeTests.Ledger", arguments: .int(0), key: key))
    guard case .unsigned(let number) = answer else { throw CancellationError() }
    return number
  }

  /// Whether an actor of that number is there.
  func finds(_ number: UInt64) async -> Bool {
    let nothing = Service.invoke(actor: number, target: "x", substitutions: [], arguments: [])
    let error = await #expect(throws: RuntimeError.self) { try await ask(nothing) }
    #expect(error?.code == .unknownTarget)
    return error?.message.contains("has no method") == true
  }

  /// What comes of showing a key.
  func resume(_ key: UInt64, attempt: UInt64 = 1) async -> RuntimeError? {
    do {
      _ = try await ask(.resume(key: key, attempt: attempt))
      return nil
    } catch {
      return error as? RuntimeError
    }
  }

  /// Loses the connection.
  func lose() async {
    peer.link.close(RuntimeError(.workerLost, "The test breaks the connection."))
    _ = await peer.waitUntilEnded()
  }

  /// Says goodbye.
  func leave() async {
    await peer.close()
    await session.value
  }
}

@Suite("A client that comes again", .timeLimit(.minutes(3)))
struct ReturningClientTests {
  private let lobby = Lobby(keepsClients: true) { _ in MemoryBackend(registry: Registry()) }

  @Test("shows a key that only it knows, and finds its actors over and over; others find nothing")
  func keys() async throws {
    var client = try await Client(of: lobby)
    let number = try await client.spawn(key: 7)
    for attempt in 1...3 as ClosedRange<UInt64> {
      await client.lose()
      let stranger = try await Client(of: lobby)
      #expect(await stranger.resume(8)?.code == .unknownTarget)
      #expect(await !stranger.finds(number))
      await stranger.leave()
      let old = client.session
      client = try await Client(of: lobby)
      #expect(await client.resume(7, attempt: attempt) == nil)
      #expect(await client.finds(number))
      // What is its new connection's is not the old one's to end.
      await old.value
      #expect(await client.finds(number))
      #expect(lobby.absentClientCount == 0)
    }
    await client.leave()
  }

  @Test("has one key for all that it makes over a connection: the first")
  func oneKey() async throws {
    let old = try await Client(of: lobby)
    let numbers = [try await old.spawn(key: 7), try await old.spawn(key: 8)]
    await old.lose()
    let new = try await Client(of: lobby)
    #expect(await new.resume(8)?.code == .unknownTarget)
    #expect(await new.resume(7) == nil)
    for number in numbers { #expect(await new.finds(number)) }
    for client in [old, new] { await client.leave() }
  }

  @Test("takes the place of its connection where that is not known to have broken")
  func connected() async throws {
    let old = try await Client(of: lobby)
    let number = try await old.spawn(key: 7)
    let new = try await Client(of: lobby)
    #expect(await new.resume(7) == nil)
    #expect(await new.finds(number))
    #expect(await old.peer.waitUntilEnded().code == .workerLost)
    // Only a connection on which nothing was made takes another's place.
    let third = try await Client(of: lobby)
    _ = try await third.spawn(key: 9)
    #expect(await third.resume(7)?.code == .malformedMessage)
    #expect(await new.finds(number))
    for client in [old, new, third] { await client.leave() }
  }

  @Test("loses nothing when its new connection breaks, too, before it has what was made for it")
  func brokenTwice() async throws {
    let door = Signal()
    let old = try await Client(of: lobby, after: door)
    let number = try await old.spawn(key: 7)
    let new = try await Client(of: lobby)
    let waiting = Task { await new.resume(7, attempt: 1) }
    // The old one is told to end, which it does slowly.
    _ = await old.peer.waitUntilEnded()
    await new.lose()
    #expect(await waiting.value?.code == .workerLost)
    door.send()
    let again = try await Client(of: lobby)
    #expect(await again.resume(7, attempt: 2) == nil)
    #expect(await again.finds(number))
    for client in [old, new, again] { await client.leave() }
  }

  @Test("comes again once over a connection, whatever it asks for besides")
  func greedy() async throws {
    let door = Signal()
    let old = try await Client(of: lobby, after: door)
    let number = try await old.spawn(key: 7)
    let new = try await Client(of: lobby)
    let waiting = Task { await new.resume(7, attempt: 1) }
    _ = await old.peer.waitUntilEnded()
    // It has come, and waits for what is its own.
    for attempt: UInt64 in [1, 2, 3] {
      #expect(await new.resume(7, attempt: attempt)?.code == .malformedMessage)
    }
    door.send()
    #expect(await waiting.value == nil)
    #expect(await new.finds(number))
    for client in [old, new] { await client.leave() }
    #expect(lobby.absentClientCount == 0)
  }

  @Test("keeps its connection when an attempt before it arrives late")
  func late() async throws {
    let client = try await Client(of: lobby)
    let number = try await client.spawn(key: 7)
    await client.lose()
    let (late, again) = (try await Client(of: lobby), try await Client(of: lobby))
    #expect(await again.resume(7, attempt: 2) == nil)
    #expect(await late.resume(7, attempt: 1)?.code == .unknownTarget)
    #expect(await late.resume(7, attempt: 2)?.code == .unknownTarget)
    #expect(await again.finds(number))
    for client in [client, late, again] { await client.leave() }
  }

  @Test("finds nothing when it had said goodbye, was away for too long, or has no key")
  func gone() async throws {
    for (isLost, limit, key) in [
      (false, Duration.seconds(3600), UInt64?(7)), (true, .milliseconds(1), 7),
      (true, .seconds(3600), nil),
    ] {
      let client = try await Client(of: lobby, keeping: limit)
      _ = try await client.spawn(key: key)
      if isLost { await client.lose() }
      await client.leave()
      let again = try await Client(of: lobby)
      #expect(await again.resume(7)?.code == .unknownTarget)
      await again.leave()
    }
  }

  @Test("finds nothing when more than 256 others have gone away since")
  func tooMany() async throws {
    var clients: [(client: Client, number: UInt64)] = []
    for key in 1...258 as ClosedRange<UInt64> {
      let client = try await Client(of: lobby)
      clients.append((client, try await client.spawn(key: key)))
      await client.lose()
      // The server learns of the ends in this order.
      while lobby.absentClientCount < min(key, 256) { await Task.yield() }
    }
    await clients[0].client.session.value
    await clients[1].client.session.value
    for (key, isThere) in [(1, false), (2, false), (3, true), (258, true)] as [(UInt64, Bool)] {
      let again = try await Client(of: lobby)
      #expect((await again.resume(key) == nil) == isThere, "\(key)")
      if isThere { #expect(await again.finds(clients[Int(key) - 1].number)) }
      await again.leave()
    }
    for (client, _) in clients { client.session.cancel() }
    for (client, _) in clients { await client.session.value }
    #expect(lobby.absentClientCount == 0)
  }
}
