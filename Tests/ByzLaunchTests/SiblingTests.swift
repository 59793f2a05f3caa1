import ByzAuthentication
import ByzKit
import ByzRuntime
import ByzTCP
import ByzUCX
import Distributed
import Testing

/// Sends and receives where it is told to, so that mail goes from one process to another.
distributed actor Postman: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private var inbox: Mailbox<String>?
  private let deliveries = AsyncStream.makeStream(of: Int.self)
  /// How many letters of this postman are in their mailboxes.
  private var count = 0

  init(_ arguments: Int, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  distributed func deliver(_ values: [String], to address: MailboxAddress) async throws {
    for value in values {
      try await actorSystem.send(value, to: address)
      count += 1
      deliveries.continuation.yield(count)
    }
  }

  /// How many letters of this postman are in their mailboxes, and before that waits until so many are.
  distributed func delivered(atLeast least: Int) async -> Int {
    if count < least { for await count in deliveries.stream where count >= least { break } }
    return count
  }

  /// Loses the connection to a process as a network would; whether there was one.
  distributed func loseConnection(to host: UInt64) -> Bool {
    let peer = actorSystem.connection(to: host)
    peer?.link.close(RuntimeError(.workerLost, "The test broke the connection."))
    return peer != nil
  }

  distributed func isConnected(to host: UInt64) -> Bool {
    actorSystem.connection(to: host) != nil
  }

  distributed func open(_ name: String) throws -> MailboxAddress {
    inbox?.close()
    let inbox = try actorSystem.mailbox(named: name, of: String.self, capacity: 4)
    self.inbox = inbox
    return inbox.address
  }

  /// What arrived, each with whether `sender` sent it.
  distributed func received(_ count: Int, from sender: UInt64) async -> [String] {
    var values: [String] = []
    while values.count < count, let letter = await inbox?.receive() {
      values.append(letter.sender == sender ? letter.value : "from a stranger: \(letter.value)")
    }
    return values
  }
}

@Suite("Mail between workers of several hosts", .timeLimit(.minutes(3)))
struct SiblingTests {
  private static let registry = Registry(actors: [Postman.self])

  /// Mail both ways between two actors, the first of it both ways at once.
  private func exchange(_ one: Postman, _ other: Postman) async throws {
    let numbers = (0..<20).map(String.init)
    let (address, otherAddress) = (try await one.open("in"), try await other.open("in"))
    async let received = one.received(20, from: other.id.host)
    async let otherReceived = other.received(20, from: one.id.host)
    async let delivered: Void = one.deliver(numbers, to: otherAddress)
    async let otherDelivered: Void = other.deliver(numbers, to: address)
    _ = try await (delivered, otherDelivered)
    #expect(try await received == numbers)
    #expect(try await otherReceived == numbers)
  }

  @Test(
    "goes directly, by one connection, with a token within TLS or without",
    arguments: [true, false])
  func direct(isSecured: Bool) async throws {
    let token = isSecured ? try Token("the token of this test".utf8) : nil
    let own = TLSOptions(
      certificateChainFile: certificate("server.pem"), privateKeyFile: certificate("server.key"))
    let roots = TLSOptions(trustRootsFile: certificate("ca.pem"))
    let options = TCPOptions(tls: isSecured ? roots : nil, token: token)
    var listener = TCPListenerOptions(tls: isSecured ? own : nil, token: token)
    listener.siblings = options
    try await withWorkerServer(registry: Self.registry, listener: listener) { first in
      try await withWorkerServer(registry: Self.registry, listener: listener) { second in
        try await withActorSystem(Self.registry) { system in
          let one = try await system.spawn(Postman.self, 0, on: .tcp(first.address, options))
          let other = try await system.spawn(Postman.self, 0, on: .tcp(second.address, options))
          try await exchange(one, other)
          #expect(system.mailPassedOn == 0)
          #expect(first.connectionCount + second.connectionCount == 3)
          // Two on one host are no exception.
          let third = try await system.spawn(Postman.self, 0, on: .tcp(second.address, options))
          try await exchange(other, third)
          #expect(system.mailPassedOn == 0)
        }
        // What was theirs ends with their client.
        while first.connectionCount + second.connectionCount > 0 { await Task.yield() }
      }
    }
  }

  @Test("goes through the client where one host does not hold the other's token")
  func detour() async throws {
    func listener(_ text: String) throws -> TCPListenerOptions {
      TCPListenerOptions(token: try Token(text.utf8))
    }
    let (one, other) = ("the token of the one", "the token of the other")
    try await withWorkerServer(registry: Self.registry, listener: listener(one)) { first in
      try await withWorkerServer(registry: Self.registry, listener: listener(other)) { second in
        try await withActorSystem(Self.registry) { system in
          let one = try await system.spawn(
            Postman.self, 0, on: .tcp(first.address, TCPOptions(token: try Token(one.utf8))))
          let other = try await system.spawn(
            Postman.self, 0, on: .tcp(second.address, TCPOptions(token: try Token(other.utf8))))
          try await exchange(one, other)
          #expect(system.mailPassedOn == 40)
        }
      }
    }
  }

  @Test(
    "goes directly over UCX too, and through the client between different transports",
    .enabled(if: UCX.isAvailable, "UCX is not installed: apt-get install libucx0 libucx-dev"))
  func mixture() async throws {
    try await withWorkerServer(registry: Self.registry) { first in
      try await withUCXWorkerServer(on: "127.0.0.1:0", registry: Self.registry) { second in
        try await withActorSystem(Self.registry) { system in
          let one = try await system.spawn(Postman.self, 0, on: .tcp(first.address))
          let address = String(second.address.trimmingPrefix("ucx://"))
          let other = try await system.spawn(Postman.self, 0, on: .ucx(address))
          try await exchange(one, other)
          #expect(system.mailPassedOn == 40)
          let third = try await system.spawn(Postman.self, 0, on: .ucx(address))
          try await exchange(other, third)
          #expect(system.mailPassedOn == 40)
        }
      }
    }
  }

  @Test("a stranger with the token, but without a ticket, cannot write in a worker's name")
  func strangers() async throws {
    try await withWorkerServer(registry: Self.registry) { server in
      try await withActorSystem(Self.registry) { system in
        let victim = try await system.spawn(Postman.self, 0, on: .tcp(server.address))
        let address = try await victim.open("in")
        try await withActorSystem(Self.registry) { stranger in
          let peer = try await stranger.connect(to: .tcp(server.address), named: "stranger")
          let error = await #expect(throws: RuntimeError.self) {
            try await stranger.present(7, to: peer)
          }
          #expect(error?.code == .authenticationFailed)
          await #expect(throws: RuntimeError.self) { try await stranger.send("lie", to: address) }
        }
        try await system.send("truth", to: address)
        let own = try system.mailbox(named: "own", of: Int.self).address.host
        #expect(try await victim.received(1, from: own) == ["truth"])
      }
    }
  }

  @Test("takes a new connection after one was lost")
  func lost() async throws {
    try await withWorkerServer(registry: Self.registry) { first in
      try await withWorkerServer(registry: Self.registry) { second in
        try await withActorSystem(Self.registry) { system in
          let one = try await system.spawn(Postman.self, 0, on: .tcp(first.address))
          let other = try await system.spawn(Postman.self, 0, on: .tcp(second.address))
          try await exchange(one, other)
          #expect(try await one.loseConnection(to: other.id.host))
          while try await one.isConnected(to: other.id.host) {}
          while try await other.isConnected(to: one.id.host) {}
          try await exchange(one, other)
          #expect(system.mailPassedOn == 0)
        }
      }
    }
  }

  @Test("mail that a worker sends through the client ends what is left of its own connection")
  func changedWay() async throws {
    try await withWorkerServer(registry: Self.registry) { first in
      try await withWorkerServer(registry: Self.registry) { second in
        try await withActorSystem(Self.registry) { system in
          let one = try await system.spawn(Postman.self, 0, on: .tcp(first.address))
          let other = try await system.spawn(Postman.self, 0, on: .tcp(second.address))
          try await exchange(one, other)
          let address = try await other.open("late")
          #expect(try await other.isConnected(to: one.id.host))
          // As the client passes a letter on; what came by the other way after it would be late.
          var encoder = WireEncoder()
          let put = Service.put(
            host: address.host, mailbox: address.name, sender: one.id.host,
            message: try encoder.encode("by the client"))
          let peer = try #require(system.connection(to: other.id.host))
          _ = try await peer.call(body: put.value.serialized(), segments: [])
          #expect(try await other.received(1, from: one.id.host) == ["by the client"])
          #expect(try await other.isConnected(to: one.id.host) == false)
        }
      }
    }
  }
}
