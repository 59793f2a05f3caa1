import ByzRuntime

/// What travels between the mailboxes of nodes.
enum GossipLetter: Codable, Sendable {
  case message(GossipMessage)
  /// This node sends nothing more; nil for the sender itself, a number when whoever started the nodes has lost it.
  case left(Int?)
}

/// One node's way to its neighbors over mailboxes. Who sent a letter is what the connection proved, so a node speaks for itself only.
struct MailboxTransport: GossipTransport {
  let inbox: Mailbox<GossipLetter>
  let mail: NeighborMailboxes
  /// The longest that a neighbor may take to say that a letter is in its mailbox: one that never does must not hold a round.
  let deadline: Duration

  func send(_ message: GossipMessage, to neighbor: Int) async throws {
    let mail = mail
    try await withDeadline(deadline) {
      try await mail.send(GossipLetter.message(message), to: neighbor)
    }
  }

  func next() async throws -> GossipEvent? {
    while let letter = await inbox.receive() {
      switch (letter.value, mail.sender(of: letter)) {
      case (.message(let message), let sender?): return .message(message, from: sender)
      case (.left(nil), let sender?): return .left(sender)
      // Only whoever started the nodes is none of them.
      case (.left(let lost?), nil) where isNoNode(letter.sender) && isNode(lost):
        return .left(lost)
      default: continue
      }
    }
    try Task.checkCancellation()
    return nil
  }

  /// A neighbor that goes on, at its own pace, must not wait for room in a mailbox that nobody reads.
  func close() { inbox.close() }

  /// Tells the neighbors that nothing more comes.
  func leave() async {
    // One that hangs does not make room.
    let mail = mail
    _ = try? await withDeadline(.seconds(5)) { await mail.broadcast(GossipLetter.left(nil)) }
  }

  private func isNode(_ number: Int) -> Bool { mail.addresses.indices.contains(number) }

  private func isNoNode(_ sender: UInt64) -> Bool {
    !mail.addresses.contains { $0.host == sender }
  }
}
