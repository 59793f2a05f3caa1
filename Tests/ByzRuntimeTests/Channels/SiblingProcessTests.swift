import ByzRuntime
import ByzTensor
import ByzTesting
import Testing

#if canImport(Glibc)
  import Glibc
#endif

/// A worker that knows postmen.
enum PostmanProgram: TestWorkerProgram {
  static let registry = Registry(actors: [Postman.self])

  static func run() -> Never {
    runInheritedWorker(registry)
    exit(1)
  }
}

@Suite("Mail between child processes", .timeLimit(.minutes(3)))
struct SiblingProcessTests {
  private let backend = ProcessBackend(running: PostmanProgram.self)

  private func withPostmen(
    _ body: (ByzActorSystem, Postman, Postman) async throws -> Void
  ) async throws {
    try await withActorSystem(PostmanProgram.registry) { (system) async throws -> Void in
      let one = try await system.spawn(Postman.self, 0, on: backend)
      let other = try await system.spawn(Postman.self, 0, on: backend)
      try await body(system, one, other)
    }
  }

  /// An introduction has its time limit, which may be over on a busy machine, and mail goes the other way then. But not every time.
  private func expectDirectMail(
    _ body: (ByzActorSystem, Postman, Postman) async throws -> Void
  ) async throws {
    var mailPassedOn = Int.max
    for _ in 0..<5 where mailPassedOn > 0 {
      try await withPostmen { system, one, other in
        try await body(system, one, other)
        mailPassedOn = system.mailPassedOn
      }
    }
    #expect(mailPassedOn == 0)
  }

  @Test("goes directly, in order, from the first letter on, and names its sender")
  func direct() async throws {
    try await expectDirectMail { system, one, other in
      let (address, otherAddress) = (try await one.open("in"), try await other.open("in"))
      async let received = one.received(40)
      async let otherReceived = other.received(40)
      async let delivered: Void = one.deliver(40, to: otherAddress)
      async let otherDelivered: Void = other.deliver(40, to: address)
      _ = try await (delivered, otherDelivered)
      #expect(try await received == (0..<40).map(String.init))
      #expect(try await otherReceived == (0..<40).map(String.init))
      try await one.deliver(1, to: otherAddress)
      #expect(try await other.sender() == one.id.host)
    }
  }

  @Test("is refused or reported when the other process is killed, and goes on with others")
  func killed() async throws {
    try await withPostmen { system, one, other in
      let address = try await other.open("in")
      try await one.deliver(2, to: address)
      let peer = try #require(system.connection(to: other.id.host))
      let number = try #require(peer.link.peerName.split(separator: " ").last.flatMap { pid_t($0) })
      kill(number, SIGKILL)
      _ = await peer.waitUntilEnded()
      let error = await #expect(throws: RuntimeError.self) { try await one.deliver(1, to: address) }
      #expect([.deliveryUnknown, .unknownTarget].contains(error?.code))
      let third = try await system.spawn(Postman.self, 0, on: backend)
      try await one.deliver(1, to: try await third.open("in"))
      #expect(try await third.received(1) == ["0"])
    }
  }

  @Test("leaves a process no more descriptors when those it wrote to have ended")
  func descriptors() async throws {
    try await withActorSystem(PostmanProgram.registry) { (system) async throws -> Void in
      let one = try await system.spawn(Postman.self, 0, on: backend)
      let before = try await one.socketCount(atMost: .max)
      for _ in 0..<8 {
        let other = try await system.spawn(Postman.self, 0, on: backend)
        try await one.deliver(1, to: try await other.open("in"))
        #expect(try await one.socketCount(atMost: .max) > before)
        await system.stop(other)
      }
      #expect(try await one.socketCount(atMost: before) == before)
      #expect(system.mailPassedOn == 0)
    }
  }
}
