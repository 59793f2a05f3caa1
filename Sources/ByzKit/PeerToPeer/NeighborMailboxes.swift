public import ByzRuntime

/// One node's mail along a topology: it writes to the mailboxes of its neighbors and to no others, and takes letters of those who
/// send to it.
///
/// ```swift
/// let mail = NeighborMailboxes(of: 3, among: addresses, in: try .ring(8), system)
/// for (neighbor, error) in await mail.broadcast(update) { print(neighbor, error) }
/// for await letter in inbox { if let node = mail.sender(of: letter) { apply(letter.value, node) } }
/// ```
///
/// Mail between two processes goes directly where they reach each other, on whatever backends they live; see
/// `ByzActorSystem.send(_:to:)`.
public struct NeighborMailboxes: Sendable {
  /// The node whose mail it is.
  public let node: Int
  /// The nodes' mailboxes, by number.
  public let addresses: [MailboxAddress]
  /// Who sends to whom.
  public let topology: Topology
  private let system: ByzActorSystem

  /// The mail of a node.
  ///
  /// - Throws: ``PeerToPeerError/wrongCount(of:expected:actual:)`` unless each node of the topology has an address.
  public init(
    of node: Int, among addresses: [MailboxAddress], in topology: Topology, _ system: ByzActorSystem
  ) throws(PeerToPeerError) {
    guard addresses.count == topology.nodeCount else {
      throw .wrongCount(of: "addresses", expected: topology.nodeCount, actual: addresses.count)
    }
    precondition(addresses.indices.contains(node), "There is no node \(node).")
    (self.node, self.addresses, self.topology, self.system) = (node, addresses, topology, system)
  }

  /// Puts a message into a neighbor's mailbox, and returns when it is in.
  ///
  /// - Throws: ``PeerToPeerError/notANeighbor(from:to:)``, and nothing was sent; else as `ByzActorSystem.send(_:to:)`.
  public func send<Element: Codable & Sendable>(_ value: Element, to neighbor: Int) async throws {
    guard topology.outNeighbors(of: node).contains(neighbor) else {
      throw PeerToPeerError.notANeighbor(from: node, to: neighbor)
    }
    try await system.send(value, to: addresses[neighbor])
  }

  /// Puts a message into the mailboxes of all neighbors at once.
  ///
  /// - Returns: the neighbors in whose mailbox it is not known to be, and why.
  @discardableResult
  public func broadcast<Element: Codable & Sendable>(_ value: Element) async -> [Int: any Error] {
    let neighbors = topology.outNeighbors(of: node)
    let outcomes = await system.broadcast(value, to: neighbors.map { addresses[$0] })
    return Dictionary(
      uniqueKeysWithValues: zip(neighbors, outcomes).compactMap { neighbor, error in
        error.map { (neighbor, $0) }
      })
  }

  /// The neighbor that a letter is from, as its connection proved; nil when it is from none that sends to this node. Nodes that share a
  /// process cannot be told apart.
  public func sender<Element>(of letter: Letter<Element>) -> Int? {
    topology.inNeighbors(of: node).first { addresses[$0].host == letter.sender }
  }
}
