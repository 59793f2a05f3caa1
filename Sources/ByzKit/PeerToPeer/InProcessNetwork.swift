import ByzRuntime

/// The nodes of one process: a queue for each node and each neighbor that it hears.
///
/// A send waits while its receiver has `capacity` unread messages of this sender, so a node that
/// floods a neighbor stops itself and no one else. Every message arrives once; a send that throws
/// has not arrived. A network is a value of its own: two in one process do not see each other.
public final class InProcessNetwork: Sendable {
  private let topology: Topology
  /// By receiver, and by sender.
  private let queues: [[Int: BoundedQueue<GossipMessage>]]
  /// Who has left.
  private let closed = Monitor<Set<Int>>([])

  /// A network whose nodes have sent nothing.
  ///
  /// - Parameters:
  ///   - topology: who sends to whom.
  ///   - capacity: the unread messages from one node to another; at least 1.
  public init(_ topology: Topology, capacity: Int = 2) {
    self.topology = topology
    queues = (0..<topology.nodeCount).map { node in
      var queues: [Int: BoundedQueue<GossipMessage>] = [:]
      for neighbor in topology.inNeighbors(of: node) {
        queues[neighbor] = BoundedQueue(capacity: max(1, capacity))
      }
      return queues
    }
  }

  /// The end of one node.
  ///
  /// - Precondition: `0 ≤ node < n`.
  public func transport(for node: Int) -> some GossipTransport {
    precondition((0..<topology.nodeCount).contains(node), "There is no node \(node).")
    return InProcessTransport(network: self, node: node)
  }
}

private struct InProcessTransport: GossipTransport {
  let network: InProcessNetwork
  let node: Int

  func send(_ message: GossipMessage, to neighbor: Int) async throws {
    try await network.send(message, from: node, to: neighbor)
  }

  func next(from neighbor: Int) async throws -> GossipEvent {
    try await network.next(for: node, from: neighbor)
  }

  func close() { network.close(node) }
}

extension InProcessNetwork {
  fileprivate func send(_ message: GossipMessage, from node: Int, to neighbor: Int) async throws {
    guard topology.outNeighbors(of: node).contains(neighbor), let queue = queues[neighbor][node]
    else { throw PeerToPeerError.notANeighbor(from: node, to: neighbor) }
    let isTaken = try await queue.put(message)
    guard !isTaken else { return }
    let hasLeft = closed.withLock { $0.contains(node) }
    throw PeerToPeerError.left(hasLeft ? node : neighbor)
  }

  fileprivate func next(for node: Int, from neighbor: Int) async throws -> GossipEvent {
    if let message = await queues[node][neighbor]?.next() { return .message(message) }
    try Task.checkCancellation()
    return .left
  }

  fileprivate func close(_ node: Int) {
    closed.withLock { _ = $0.insert(node) }
    for queue in queues[node].values { queue.close() }
    // What it has sent can still be read.
    for neighbor in topology.outNeighbors(of: node) { queues[neighbor][node]?.close() }
  }
}
