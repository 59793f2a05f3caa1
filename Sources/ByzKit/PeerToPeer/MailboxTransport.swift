import ByzRuntime

/// What travels between the mailboxes of nodes.
enum GossipLetter: Codable, Sendable {
  case message(GossipMessage)
  /// This node sends nothing more; nil for the sender itself, a number when whoever started the nodes has lost it.
  case left(Int?)
}

/// One node's way to its neighbors over mailboxes. Who sent a letter is what the connection proved, so a node speaks for itself only.
struct MailboxTransport: GossipTransport {
  let system: ByzActorSystem
  let inbox: Mailbox<GossipLetter>
  /// The nodes' mailboxes, by number.
  let addresses: [MailboxAddress]
  let topology: Topology
  let node: Int

  func send(_ message: GossipMessage, to neighbor: Int) async throws {
    guard topology.outNeighbors(of: node).contains(neighbor) else {
      throw PeerToPeerError.notANeighbor(from: node, to: neighbor)
    }
    try await system.send(GossipLetter.message(message), to: addresses[neighbor])
  }

  func next() async throws -> GossipEvent? {
    while let letter = await inbox.receive() {
      let sender = addresses.firstIndex { $0.host == letter.sender }
      switch (letter.value, sender) {
      case (.message(let message), let sender?) where hears(sender):
        return .message(message, from: sender)
      case (.left(nil), let sender?) where hears(sender): return .left(sender)
      // Only whoever started the nodes is none of them.
      case (.left(let lost?), nil) where addresses.indices.contains(lost): return .left(lost)
      default: continue
      }
    }
    try Task.checkCancellation()
    return nil
  }

  func close() {}

  /// Tells the neighbors that nothing more comes.
  func leave() async {
    let neighbors = topology.outNeighbors(of: node).map { addresses[$0] }
    // One that is done, or hangs, does not make room.
    let system = system
    _ = try? await withDeadline(.seconds(5)) {
      await system.broadcast(GossipLetter.left(nil), to: neighbors)
    }
  }

  private func hears(_ sender: Int) -> Bool { topology.inNeighbors(of: node).contains(sender) }
}
