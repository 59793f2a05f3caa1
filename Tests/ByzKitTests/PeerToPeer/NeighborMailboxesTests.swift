import ByzKit
import ByzRuntime
import ByzTesting
import Distributed
import Testing

/// A node that tells its number to its neighbors and hears theirs.
distributed actor Neighbor: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private let node: Int
  private var inbox: Mailbox<Int>?
  private var mail: NeighborMailboxes?

  init(_ node: Int, actorSystem: ByzActorSystem) {
    self.node = node
    self.actorSystem = actorSystem
  }

  distributed func open() throws -> MailboxAddress {
    let inbox = try actorSystem.mailbox(named: "node \(node)", of: Int.self)
    self.inbox = inbox
    return inbox.address
  }

  distributed func meet(_ addresses: [MailboxAddress], _ topology: Topology) throws {
    mail = try NeighborMailboxes(of: node, among: addresses, in: topology, actorSystem)
  }

  /// The number of neighbors that could not be told.
  distributed func tell() async -> Int? { await mail?.broadcast(node * 10).count }

  /// Whether the topology forbids to write to a node.
  distributed func isRefused(_ other: Int) async throws -> Bool {
    do {
      try await mail?.send(-1, to: other)
      return false
    } catch PeerToPeerError.notANeighbor(from: node, to: other) {
      return true
    }
  }

  /// What the first letters said, by sender; nil for a sender that is no neighbor.
  distributed func heard(_ count: Int) async -> [Int?: Int] {
    var heard: [Int?: Int] = [:]
    for _ in 0..<count {
      guard let letter = await inbox?.receive() else { break }
      heard[mail?.sender(of: letter)] = letter.value
    }
    return heard
  }
}

@Suite("Mail along a topology", .timeLimit(.minutes(3)))
struct NeighborMailboxesTests {
  @Test("reaches the neighbors and no others, from process to process, and names who sent it")
  func ring() async throws {
    let registry = Registry(actors: [Neighbor.self])
    // 0 → 1 → 2 → 0: each hears one and writes to another.
    let topology = try Topology(nodes: 3, edges: [(0, 1), (1, 2), (2, 0)], directed: true)
    try await withActorSystem(registry) { (system) async throws -> Void in
      var nodes: [Neighbor] = []
      for node in 0..<3 {
        nodes.append(
          try await system.spawn(
            Neighbor.self, node, on: ProcessBackend(running: KitWorker.self)))
      }
      var addresses: [MailboxAddress] = []
      for node in nodes { addresses.append(try await node.open()) }
      for node in nodes { try await node.meet(addresses, topology) }
      for (number, node) in nodes.enumerated() {
        #expect(try await node.isRefused((number + 2) % 3))
        #expect(try await node.isRefused(number))
        try #require(try await node.tell() == 0)
      }
      // A letter of none of the nodes.
      try await system.send(7, to: addresses[1])
      #expect(try await nodes[0].heard(1) == [2: 20])
      #expect(try await nodes[1].heard(2) == [0: 0, nil: 7])
      #expect(try await nodes[2].heard(1) == [1: 10])
      #expect(system.mailPassedOn == 0)
    }
  }

  @Test("wants an address for each node")
  func count() async throws {
    try await withActorSystem(Registry()) { (system) async throws -> Void in
      let inbox = try system.mailbox(named: "only", of: Int.self)
      let topology = try Topology.ring(3)
      #expect(throws: PeerToPeerError.wrongCount(of: "addresses", expected: 3, actual: 1)) {
        try NeighborMailboxes(of: 0, among: [inbox.address], in: topology, system)
      }
    }
  }
}
