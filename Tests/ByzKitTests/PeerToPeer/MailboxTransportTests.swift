import ByzKit
import ByzRuntime
import Testing

@Suite("The mail of a node in a process of its own", .timeLimit(.minutes(3)))
struct MailboxTransportTests {
  /// Node 0 of two that live in this process, and what it makes of news that node 1 is lost.
  private func event(starter: (ByzActorSystem) -> UInt64) async throws -> GossipEvent {
    try await withActorSystem(Registry()) { (system) async throws -> GossipEvent in
      let notices = try system.mailbox(named: "notices", of: GossipLetter.self, capacity: 2)
      let inbox = try system.mailbox(named: "mail-1", of: GossipLetter.self, capacity: 2)
      let addresses = [MailboxAddress(host: system.host, name: "other"), inbox.address]
      let mail = try NeighborMailboxes(of: 0, among: addresses, in: .complete(2), system)
      let transport = MailboxTransport(
        inboxes: [1: inbox], mail: mail, deadline: .seconds(60), starter: starter(system))
      try await system.send(GossipLetter.left(1), to: notices.address)
      notices.close()
      await transport.heed(notices)
      // Nobody takes it where the mailbox is closed.
      try? await system.send(
        GossipLetter.message(GossipMessage(round: 0, vector: [1])), to: inbox.address)
      return try await transport.next(from: 1)
    }
  }

  @Test("says that a node is lost only when whoever started the nodes has said so")
  func forged() async throws {
    guard case .left = try await event(starter: { $0.host }) else {
      Issue.record("The news was not heeded.")
      return
    }
    guard case .message = try await event(starter: { $0.host + 1 }) else {
      Issue.record("Anyone can cut a node off.")
      return
    }
  }
}
