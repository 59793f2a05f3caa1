import ByzKit
import Distributed

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Calculates, wherever it lives.
distributed actor Calculator: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private let name: String
  private var inbox: Mailbox<String>?

  init(_ name: String, actorSystem: ByzActorSystem) {
    self.name = name
    self.actorSystem = actorSystem
  }

  distributed func add(_ a: Double, _ b: Double) -> Double { a + b }

  distributed func divide(_ a: Double, by b: Double) throws -> Double {
    guard b != 0 else { throw DivisionByZero(dividend: a) }
    return a / b
  }

  /// The process it lives in.
  distributed var processIdentifier: Int32 { getpid() }

  // MARK: - Mail

  /// Opens a mailbox in its own process.
  distributed func openMailbox() throws -> MailboxAddress {
    let inbox = try actorSystem.mailbox(named: name, of: String.self, capacity: 8)
    self.inbox = inbox
    return inbox.address
  }

  /// Writes to another calculator, directly.
  distributed func write(_ text: String, to address: MailboxAddress) async throws {
    try await actorSystem.send("\(text) (\(name))", to: address)
  }

  /// The next message, once there is one.
  distributed func read() async -> String? { await inbox?.receive()?.value }
}

/// What an actor throws and its caller catches, with the same type on any machine.
struct DivisionByZero: Error, Codable, Hashable {
  let dividend: Double
}
