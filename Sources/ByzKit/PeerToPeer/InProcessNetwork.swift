import ByzRuntime

/// The nodes of one process: a mailbox for each, and room in it for each neighbor.
///
/// A send waits while its receiver has `capacity` unread messages of this sender, so a node that
/// floods a neighbor stops itself and no one else. Every message arrives once; a send that throws
/// has not arrived. A network is a value of its own: two in one process do not see each other.
public final class InProcessNetwork: Sendable {
  fileprivate let topology: Topology
  private let capacity: Int
  private let mailboxes: Monitor<Mailboxes>

  /// A network whose nodes have sent nothing.
  ///
  /// - Parameters:
  ///   - topology: who sends to whom.
  ///   - capacity: the unread messages from one node to another; at least 1.
  public init(_ topology: Topology, capacity: Int = 2) {
    self.topology = topology
    self.capacity = max(1, capacity)
    mailboxes = Monitor(Mailboxes(count: topology.nodeCount))
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

  func next() async throws -> GossipEvent? { try await network.next(for: node) }

  func close() { network.close(node) }
}

/// What is to be resumed once the lock is free.
private struct Wakes {
  var actions: [() -> Void] = []

  func run() { for action in actions { action() } }
}

private struct Mailboxes: Sendable {
  struct Sender: Sendable {
    let id: Int
    let from: Int
    let message: GossipMessage
    let continuation: CheckedContinuation<Void, any Error>
  }

  struct Mailbox: Sendable {
    var events: [GossipEvent] = []
    var unread: [Int: Int] = [:]
    var senders: [Sender] = []
    var reader: CheckedContinuation<GossipEvent?, any Error>?
    var isClosed = false
  }

  var boxes: [Mailbox]
  var lastID = 0

  init(count: Int) { boxes = [Mailbox](repeating: Mailbox(), count: count) }

  /// Hands an event to the node that waits for it, or keeps it.
  mutating func put(_ event: GossipEvent, to node: Int, _ wakes: inout Wakes) {
    if let reader = boxes[node].reader {
      boxes[node].reader = nil
      wakes.actions.append { reader.resume(returning: event) }
      return
    }
    boxes[node].events.append(event)
    if case .message(_, let from) = event { boxes[node].unread[from, default: 0] += 1 }
  }

  /// Takes the oldest event, and lets the next message of the same sender in.
  mutating func take(from node: Int, _ wakes: inout Wakes) -> GossipEvent? {
    guard !boxes[node].events.isEmpty else { return nil }
    let event = boxes[node].events.removeFirst()
    guard case .message(_, let from) = event else { return event }
    boxes[node].unread[from, default: 1] -= 1
    if let next = boxes[node].senders.firstIndex(where: { $0.from == from }) {
      let sender = boxes[node].senders.remove(at: next)
      put(.message(sender.message, from: from), to: node, &wakes)
      wakes.actions.append { sender.continuation.resume() }
    }
    return event
  }
}

extension InProcessNetwork {
  fileprivate func send(_ message: GossipMessage, from node: Int, to neighbor: Int) async throws {
    guard topology.outNeighbors(of: node).contains(neighbor) else {
      throw PeerToPeerError.notANeighbor(from: node, to: neighbor)
    }
    let id = mailboxes.withLock { boxes in
      boxes.lastID += 1
      return boxes.lastID
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation {
        (continuation: CheckedContinuation<Void, any Error>) in
        change { boxes, wakes in
          let error: (any Error)? =
            if Task.isCancelled {
              CancellationError()
            } else {
              [node, neighbor].first { boxes.boxes[$0].isClosed }.map(PeerToPeerError.left)
            }
          if let error {
            wakes.actions.append { continuation.resume(throwing: error) }
          } else if boxes.boxes[neighbor].unread[node, default: 0] < self.capacity {
            boxes.put(.message(message, from: node), to: neighbor, &wakes)
            wakes.actions.append { continuation.resume() }
          } else {
            boxes.boxes[neighbor].senders.append(
              .init(id: id, from: node, message: message, continuation: continuation))
          }
        }
      }
    } onCancel: {
      change { boxes, wakes in
        guard let index = boxes.boxes[neighbor].senders.firstIndex(where: { $0.id == id }) else {
          return
        }
        let sender = boxes.boxes[neighbor].senders.remove(at: index)
        wakes.actions.append { sender.continuation.resume(throwing: CancellationError()) }
      }
    }
  }

  fileprivate func next(for node: Int) async throws -> GossipEvent? {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        change { boxes, wakes in
          if let event = boxes.take(from: node, &wakes) {
            wakes.actions.append { continuation.resume(returning: event) }
          } else if Task.isCancelled {
            wakes.actions.append { continuation.resume(throwing: CancellationError()) }
          } else if boxes.boxes[node].isClosed || self.isAlone(node, boxes) {
            wakes.actions.append { continuation.resume(returning: nil) }
          } else {
            precondition(boxes.boxes[node].reader == nil, "One task receives at a time.")
            boxes.boxes[node].reader = continuation
          }
        }
      }
    } onCancel: {
      change { boxes, wakes in
        guard let reader = boxes.boxes[node].reader else { return }
        boxes.boxes[node].reader = nil
        wakes.actions.append { reader.resume(throwing: CancellationError()) }
      }
    }
  }

  fileprivate func close(_ node: Int) {
    change { boxes, wakes in
      guard !boxes.boxes[node].isClosed else { return }
      boxes.boxes[node].isClosed = true
      let box = boxes.boxes[node]
      boxes.boxes[node].events = []
      boxes.boxes[node].senders = []
      boxes.boxes[node].reader = nil
      wakes.actions.append {
        for sender in box.senders {
          sender.continuation.resume(throwing: PeerToPeerError.left(node))
        }
        box.reader?.resume(returning: nil)
      }
      for neighbor in self.topology.outNeighbors(of: node)
      where !boxes.boxes[neighbor].isClosed {
        boxes.put(.left(node), to: neighbor, &wakes)
      }
    }
  }

  /// Whether everyone who sends to the node has left.
  private func isAlone(_ node: Int, _ boxes: Mailboxes) -> Bool {
    topology.inNeighbors(of: node).allSatisfy { boxes.boxes[$0].isClosed }
  }

  private func change(_ body: (inout Mailboxes, inout Wakes) -> Void) {
    let wakes = mailboxes.withLock { boxes in
      var wakes = Wakes()
      body(&boxes, &wakes)
      return wakes
    }
    wakes.run()
  }
}
