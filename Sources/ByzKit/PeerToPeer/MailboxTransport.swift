import ByzRuntime

/// What travels between the mailboxes of nodes.
package enum GossipLetter: Codable, Sendable {
  case message(GossipMessage)
  /// This node sends nothing more; nil for the sender itself, a number when whoever started the nodes has lost it.
  case left(Int?)
}

/// One node's way to its neighbors over mailboxes. Who sent a letter is what the connection proved, so a node speaks for itself only.
package struct MailboxTransport: GossipTransport {
  /// For each neighbor that the node hears a mailbox of its own: one that is not read makes that neighbor wait, and no other.
  let inboxes: [Int: Mailbox<GossipLetter>]
  let mail: NeighborMailboxes
  /// The longest that a neighbor may take to say that a letter is in its mailbox: one that never does must not hold a round.
  let deadline: Duration
  /// The process that started the nodes: only it may say that one is lost.
  let starter: UInt64

  package init(
    inboxes: [Int: Mailbox<GossipLetter>], mail: NeighborMailboxes, deadline: Duration,
    starter: UInt64
  ) {
    (self.inboxes, self.mail, self.deadline, self.starter) = (inboxes, mail, deadline, starter)
  }

  package func send(_ message: GossipMessage, to neighbor: Int) async throws {
    let mail = mail
    try await withDeadline(deadline) {
      try await mail.send(GossipLetter.message(message), to: neighbor)
    }
  }

  package func next(from neighbor: Int) async throws -> GossipEvent {
    guard let inbox = inboxes[neighbor] else { return .left }
    while let letter = await inbox.receive() {
      // Others may send to any mailbox whose name they guess.
      guard letter.sender == mail.addresses[neighbor].host else { continue }
      switch letter.value {
      case .message(let message): return .message(message)
      case .left: inbox.close()
      }
    }
    try Task.checkCancellation()
    return .left
  }

  /// A neighbor that goes on, at its own pace, must not wait for room in a mailbox that nobody reads.
  package func close() { for inbox in inboxes.values { inbox.close() } }

  /// Tells the neighbors that nothing more comes.
  package func leave() async {
    // One that hangs does not make room.
    let mail = mail
    _ = try? await withDeadline(.seconds(5)) { await mail.broadcast(GossipLetter.left(nil)) }
  }

  /// Takes in nothing more of the nodes that whoever started them has lost, until the mailbox for such news is closed. What they sent
  /// before is there.
  package func heed(_ notices: Mailbox<GossipLetter>) async {
    while let letter = await notices.receive() {
      guard case .left(let lost?) = letter.value, letter.sender == starter else { continue }
      inboxes[lost]?.close()
    }
  }
}
