import ByzRuntime
import ByzRuntimeTestSupport
import ByzTensor
import Distributed
import Testing

/// Sends what it is told to, so that mail comes from another process.
distributed actor Postman: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private var inbox: Mailbox<String>?

  init(_ arguments: Int, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  distributed func deliver(_ count: Int, to address: MailboxAddress) async throws {
    for number in 0..<count { try await actorSystem.send("\(number)", to: address) }
  }

  distributed func open(_ name: String) throws -> MailboxAddress {
    let inbox = try actorSystem.mailbox(named: name, of: String.self, capacity: 4)
    self.inbox = inbox
    return inbox.address
  }

  /// Who sent the next letter.
  distributed func sender() async -> UInt64? { await inbox?.receive()?.sender }

  /// The open sockets of its process, as soon as they are no more than `limit`, or else after a while.
  distributed func socketCount(atMost limit: Int) async -> Int {
    // A link's own threads close it, on their last lines.
    _ = await eventually { openSocketCount() <= limit }
    return openSocketCount()
  }

  distributed func received(_ count: Int) async -> [String] {
    var values: [String] = []
    while values.count < count, let letter = await inbox?.receive() { values.append(letter.value) }
    return values
  }
}

private let registry = Registry(actors: [Postman.self])

@Suite("Mailboxes", .timeLimit(.minutes(3)))
struct MailboxTests {
  @Test("messages of one sender come out once, in order, however small the mailbox")
  func order() async throws {
    try await withActorSystem(registry) { (system) async throws -> Void in
      let inbox = try system.mailbox(named: "in", of: Int.self, capacity: 2)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { for value in 0..<100 { try await system.send(value, to: inbox.address) } }
        for value in 0..<100 { #expect(await inbox.receive()?.value == value) }
        try await group.waitForAll()
      }
    }
  }

  @Test("an actor that waits for mail, or for room, answers other calls (ByzPy's is blocked)")
  func waiting() async throws {
    try await withActorSystem(registry) { (system) async throws -> Void in
      let postman = try await system.spawn(Postman.self, 0, on: MemoryBackend(registry: registry))
      let address = try await postman.open("in")
      // Neither ends before the other: there is room for four.
      async let received = postman.received(9)
      try await postman.deliver(9, to: address)
      #expect(try await received == (0..<9).map(String.init))
    }
  }

  @Test("a full mailbox makes senders wait, also in another process")
  func backPressure() async throws {
    try await withActorSystem(registry) { (system) async throws -> Void in
      let postman = try await system.spawn(Postman.self, 0, on: MemoryBackend(registry: registry))
      let inbox = try system.mailbox(named: "in", of: String.self, capacity: 1)
      let sending = Task { try await postman.deliver(9, to: inbox.address) }
      #expect(await inbox.receive()?.value == "0")
      inbox.close()
      await #expect(throws: RuntimeError.self) { try await sending.value }
      var left: [String] = []
      for await letter in inbox { left.append(letter.value) }
      // One had room; the next one was still waiting for it.
      #expect(["0"] + left == (0...left.count).map(String.init) && left.count <= 1)
    }
  }

  @Test("mail goes from one process to another through the one that started both")
  func betweenProcesses() async throws {
    try await withActorSystem(registry) { (system) async throws -> Void in
      let sender = try await system.spawn(Postman.self, 0, on: MemoryBackend(registry: registry))
      let reader = try await system.spawn(Postman.self, 0, on: MemoryBackend(registry: registry))
      let address = try await reader.open("updates")
      async let values = reader.received(20)
      try await sender.deliver(20, to: address)
      #expect(try await values == (0..<20).map(String.init))
    }
  }

  @Test("a letter names the process it came from, whatever the process says")
  func senders() async throws {
    try await withActorSystem(registry) { (system) async throws -> Void in
      let postman = try await system.spawn(Postman.self, 0, on: MemoryBackend(registry: registry))
      let inbox = try system.mailbox(named: "in", of: String.self)
      try await postman.deliver(1, to: inbox.address)
      try await system.send("mine", to: inbox.address)
      #expect(await inbox.receive()?.sender == postman.id.host)
      #expect(await inbox.receive()?.sender == inbox.address.host)
      // A worker that says the letter is of another one, and of its client itself.
      let liar = ScriptedBackend { service, peer in
        guard case .spawn = service else { return nil }
        for (name, sender) in [("other", postman.id.host), ("client", inbox.address.host)] {
          let forged = Service.put(
            host: inbox.address.host, mailbox: "in", sender: sender, message: .string(name))
          _ = try? await peer.call(body: forged.value.serialized())
        }
        return .unsigned(1)
      }
      let forger = try await system.spawn(Postman.self, 0, on: liar)
      for name in ["other", "client"] {
        let letter = await inbox.receive()
        #expect(letter?.value == name)
        #expect(letter?.sender == forger.id.host)
      }
    }
  }

  @Test("a name can be taken once, until its mailbox is closed or gone")
  func names() async throws {
    try await withActorSystem(registry) { (system) async throws -> Void in
      do {
        let first = try system.mailbox(named: "in", of: Int.self)
        #expect(throws: RuntimeError.self) { try system.mailbox(named: "in", of: Int.self) }
        first.close()
        let second = try system.mailbox(named: "in", of: Int.self)
        try await system.send(1, to: second.address)
        #expect(await second.receive()?.value == 1)
      }
      let third = try system.mailbox(named: "in", of: Int.self)
      try await system.send(2, to: third.address)
      #expect(await third.receive()?.value == 2)
    }
  }

  @Test("who waits for room is told when nobody holds the mailbox any more, and its name is free")
  func abandoned() async throws {
    try await withActorSystem(registry) { (system) async throws -> Void in
      var inbox: Mailbox<Int>? = try system.mailbox(named: "in", capacity: 1)
      let address = try #require(inbox).address
      try await system.send(0, to: address)
      let sender = Task { try await system.send(1, to: address) }
      // It has begun to wait, or finds no mailbox.
      try await Task.sleep(for: .milliseconds(200))
      inbox = nil
      let error = await #expect(throws: RuntimeError.self) { try await sender.value }
      #expect(error?.code == .unknownTarget)
      let next = try system.mailbox(named: "in", of: Int.self)
      withExtendedLifetime(next) {}
    }
  }

  @Test("a mailbox ends with its system: who receives gets what is left, and then nothing")
  func ended() async throws {
    let (system, receiver) = try await withActorSystem(registry) { system in
      let inbox = try system.mailbox(named: "in", of: Int.self)
      for value in 1...3 { try await system.send(value, to: inbox.address) }
      let receiver = Task {
        var values: [Int] = []
        for await letter in inbox { values.append(letter.value) }
        return values
      }
      return (system, receiver)
    }
    #expect(await receiver.value == [1, 2, 3])
    let error = #expect(throws: RuntimeError.self) {
      try system.mailbox(named: "other", of: Int.self)
    }
    #expect(error?.code == .stopped)
  }

  @Test("what cannot be delivered is an error: no such mailbox, no way, another type")
  func refusals() async throws {
    try await withActorSystem(registry) { (system) async throws -> Void in
      let inbox = try system.mailbox(named: "in", of: Int.self)
      let nobody = MailboxAddress(host: inbox.address.host, name: "nobody")
      let nowhere = MailboxAddress(host: 1, name: "in")
      for address in [nobody, nowhere] {
        let error = await #expect(throws: RuntimeError.self) {
          try await system.send(1, to: address)
        }
        #expect(error?.code == .unknownTarget)
      }
      await #expect(throws: (any Error).self) { try await system.send("text", to: inbox.address) }
      let outcomes = await system.broadcast(7, to: [inbox.address, nobody])
      #expect(outcomes.map { $0 == nil } == [true, false])
    }
  }

  @Test("a message whose process is lost before it is acknowledged is reported, not repeated")
  func loss() async throws {
    let patience = Liveness(interval: .seconds(1), timeout: .seconds(600))
    try await withActorSystem(registry, liveness: patience) { (system) async throws -> Void in
      let (arrived, letters) = (Signal(), Monitor([WireValue]()))
      let backend = ScriptedBackend { service, peer in
        guard case .put(_, _, _, let message) = service else { return .unsigned(1) }
        let isFirst = letters.withLock { letters in
          letters.append(message)
          return letters.count == 1
        }
        guard isFirst else { return .null }
        arrived.send()
        _ = await peer.waitUntilEnded()
        return nil
      }
      let reader = try await system.spawn(Postman.self, 0, on: backend)
      let address = MailboxAddress(host: reader.id.host, name: "updates")
      let letter = Task { try await system.send("0", to: address) }
      await arrived.wait()
      let peer = try #require(system.connection(to: address.host))
      peer.link.close(RuntimeError(.workerLost, "The test breaks the connection."))
      let error = await #expect(throws: RuntimeError.self) { try await letter.value }
      #expect(error?.code == .deliveryUnknown)
      _ = await peer.waitUntilEnded()
      // The process is found again, and gets what is sent then.
      try await system.send("1", to: address)
      #expect(letters.withLock { $0 } == [.string("0"), .string("1")])
    }
  }

  @Test("a message to a process that takes no more has not been sent, and its sender hears that")
  func draining() async throws {
    try await withActorSystem(registry) { (system) async throws -> Void in
      let (arrived, room) = (Signal(), Promise<Void>())
      let backend = ScriptedBackend { service, peer in
        guard case .put = service else { return .unsigned(1) }
        peer.drain()
        arrived.send()
        _ = await room.result
        return .null
      }
      let reader = try await system.spawn(Postman.self, 0, on: backend)
      let address = MailboxAddress(host: reader.id.host, name: "updates")
      let letter = Task { try await system.send("0", to: address) }
      await arrived.wait()
      let peer = try #require(system.connection(to: address.host))
      #expect(await eventually { !peer.isOpen })
      let error = await #expect(throws: RuntimeError.self) {
        try await system.send("1", to: address)
      }
      #expect(error?.code == .unknownTarget)
      room.settle(.success(()))
      try await letter.value
    }
  }

  @Test("a receiver that is cancelled takes nothing, and a sender that is cancelled leaves nothing")
  func cancellation() async throws {
    let queue = BoundedQueue<Int>(capacity: 1)
    let receiver = Task { await queue.next() }
    receiver.cancel()
    #expect(await receiver.value == nil)
    #expect(try await queue.put(1))
    let sender = Task { try await queue.put(2) }
    sender.cancel()
    await #expect(throws: CancellationError.self) { try await sender.value }
    queue.close()
    #expect(await queue.next() == 1)
    #expect(await queue.next() == nil)
  }
}
