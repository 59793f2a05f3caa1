import ByzKit
import Testing

/// What a node received, as far as it matters here: the round, or -1 for a farewell.
private func summary(_ event: GossipEvent) -> Int {
  switch event {
  case .message(let message): message.round
  case .left: -1
  }
}

private func message(_ round: Int) -> GossipMessage {
  GossipMessage(round: round, vector: [Float(round)])
}

@Suite("Mailboxes in one process")
struct InProcessNetworkTests {
  @Test("every message arrives once and in order, at any pace (ByzPy's two consumers miss some)")
  func exactlyOnce() async throws {
    let network = InProcessNetwork(try .complete(4), capacity: 1)
    let received = try await withThrowingTaskGroup(of: [Int]?.self) { group in
      for sender in 1..<4 {
        group.addTask {
          let transport = network.transport(for: sender)
          for round in 0..<100 { try await transport.send(message(round), to: 0) }
          transport.close()
          return nil
        }
        group.addTask {
          var received: [Int] = []
          while received.last != -1 {
            received.append(summary(try await network.transport(for: 0).next(from: sender)))
          }
          return received
        }
      }
      return try await group.reduce(into: [[Int]]()) { if let rounds = $1 { $0.append(rounds) } }
    }
    #expect(received == Array(repeating: Array(0..<100) + [-1], count: 3))
  }

  @Test("a sender waits while its receiver is behind, and others do not")
  func backPressure() async throws {
    let network = InProcessNetwork(try .complete(3), capacity: 2)
    let (flooding, other) = (network.transport(for: 1), network.transport(for: 2))
    try await flooding.send(message(0), to: 0)
    try await flooding.send(message(1), to: 0)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await flooding.send(message(2), to: 0) }
      try await other.send(message(0), to: 0)
      let receiver = network.transport(for: 0)
      #expect(summary(try await receiver.next(from: 2)) == 0)
      for round in 0..<3 { #expect(summary(try await receiver.next(from: 1)) == round) }
      try await group.waitForAll()
    }
  }

  @Test("a send that throws has not arrived, and one that is lost throws (ByzPy reports success)")
  func lostSendsAreReported() async throws {
    let network = InProcessNetwork(try .complete(2), capacity: 1)
    let (a, b) = (network.transport(for: 0), network.transport(for: 1))
    try await a.send(message(0), to: 1)
    let cancelled = Task { try await a.send(message(1), to: 1) }
    // Were there no bound, it would be done by now.
    for _ in 0..<100 { await Task.yield() }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    #expect(summary(try await b.next(from: 0)) == 0)
    try await a.send(message(2), to: 1)
    let waiting = Task { try await a.send(message(3), to: 1) }
    b.close()
    await #expect(throws: PeerToPeerError.left(1)) { try await waiting.value }
    await #expect(throws: PeerToPeerError.left(1)) { try await a.send(message(4), to: 1) }
    for _ in 0..<2 { #expect(summary(try await a.next(from: 1)) == -1) }
    await #expect(throws: PeerToPeerError.left(1)) { try await b.send(message(5), to: 0) }
  }

  @Test("a receiver that is cancelled takes nothing")
  func cancelledReceiver() async throws {
    let network = InProcessNetwork(try .complete(2))
    let receiver = network.transport(for: 0)
    let waiting = Task { try await receiver.next(from: 1) }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { _ = try await waiting.value }
    try await network.transport(for: 1).send(message(5), to: 0)
    #expect(summary(try await receiver.next(from: 1)) == 5)
  }

  @Test("only neighbors are reached, and the network says who sent (in ByzPy anyone is anyone)")
  func neighborsOnly() async throws {
    let network = InProcessNetwork(try .star(3))
    await #expect(throws: PeerToPeerError.notANeighbor(from: 1, to: 2)) {
      try await network.transport(for: 1).send(message(0), to: 2)
    }
    try await network.transport(for: 2).send(message(0), to: 0)
    #expect(summary(try await network.transport(for: 0).next(from: 2)) == 0)
  }

  @Test("two networks are two worlds, and vectors are values (ByzPy shares both)")
  func noSharing() async throws {
    let (first, second) = (InProcessNetwork(try .complete(2)), InProcessNetwork(try .complete(2)))
    var vector: Tensor<Float> = [1, 2]
    try await first.transport(for: 0).send(GossipMessage(round: 0, vector: vector), to: 1)
    try await second.transport(for: 0).send(GossipMessage(round: 7, vector: vector), to: 1)
    vector[0] = 9
    guard case .message(let message) = try await first.transport(for: 1).next(from: 0) else {
      Issue.record("No message")
      return
    }
    #expect(message.round == 0)
    #expect(message.vector == [1, 2])
  }
}
