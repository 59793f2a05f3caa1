import ByzKit
import ByzTensor
import Foundation
import Testing

@Suite("Rounds in virtual time, and their records")
struct ReplayTests {
  private func peers(
    _ mode: GossipMode, attack: any Attack = TwoFaced(even: Gaussian(), odd: SignFlip())
  ) throws -> PeerToPeer {
    let problem = try Peers()
    return try PeerToPeer(
      problem.participants(honest: 6, attack: attack, byzantine: 2, rule: .trimmedMean(f: 2)),
      topology: .complete(8), models: problem.models(8), mode: mode)
  }

  @Test("in step, the order in which messages arrive does not change a bit")
  func orderDoesNotMatter() async throws {
    var expected = try peers(.synchronous)
    for _ in 0..<3 { try await expected.round() }
    for seed in 0..<4 {
      var actual = try peers(.synchronous)
      try await actual.run(rounds: 3, arrivals: RandomKey(UInt64(seed)))
      #expect(sameBits(actual.models, expected.models))
      #expect(actual.roundsDone == expected.roundsDone)
    }
  }

  @Test("in step, nothing is lost of nodes that wait for nobody, whatever the order")
  func leaders() async throws {
    let problem = try Peers()
    let start = try PeerToPeer(
      problem.participants(honest: 3, rule: .mean),
      topology: Topology(nodes: 3, edges: [(0, 2), (1, 2)], directed: true),
      models: problem.models(3))
    var expected = start
    for _ in 0..<20 { try await expected.round() }
    for seed in 0..<4 {
      var actual = start
      let reports = try await actual.run(rounds: 20, arrivals: RandomKey(UInt64(seed)))
      #expect(reports.allSatisfy { $0.dropped.isEmpty })
      #expect(sameBits(actual.models, expected.models))
    }
  }

  @Test(
    "asynchronous nodes go on with a quorum that is fresh enough; the order decides who is in it")
  func asynchronous() async throws {
    var results: Set<[Float]> = []
    for seed in 0..<3 {
      var peers = try peers(.asynchronous(quorum: 5, staleness: 1))
      let reports = try await peers.run(rounds: 4, arrivals: RandomKey(UInt64(seed)))
      #expect(reports.count == 32)
      for record in reports.records where record.node < 6 && record.hasQuorum {
        #expect(record.used.count >= 5)
        #expect(record.used.allSatisfy { $0.round >= record.round - 1 })
        #expect(record.used.map(\.sender) == record.used.map(\.sender).sorted())
      }
      #expect(reports.records.contains { $0.used.contains { $0.round != 0 } })
      results.insert(peers.models[0].elements)
    }
    #expect(results.count == 3)
  }

  @Test("asynchronous honest models contract under attack")
  func asynchronousContracts() async throws {
    let problem = try Peers()
    var peers = try PeerToPeer(
      problem.participants(
        honest: 6, attack: TwoFaced(), byzantine: 1, rule: .trimmedMean(f: 1),
        optimizer: SGD(learningRate: 0.0)), topology: .complete(7), models: problem.models(7),
      mode: .asynchronous(quorum: 4, staleness: 2))
    let before = peers.diameter
    try await peers.run(rounds: 12, arrivals: RandomKey(3))
    #expect(peers.diameter < before / 8)
  }

  @Test("the same key gives the same bits, on any number of workers")
  func sameKey() async throws {
    func train(on pool: ActorPool?) async throws -> [Tensor<Float>] {
      var peers = try peers(.asynchronous(quorum: 4, staleness: 2))
      try await peers.run(rounds: 3, arrivals: RandomKey(9), on: pool)
      return peers.models
    }
    let expected = try await train(on: nil)
    #expect(sameBits(try await train(on: nil), expected))
    let pooled = try await withActorPool(.threads(2)) { try await train(on: $0) }
    #expect(sameBits(pooled, expected))
  }

  @Test("replaying the records gives the same bits, however those of different nodes are mixed")
  func replay() async throws {
    for mode in [GossipMode.synchronous, .asynchronous(quorum: 4, staleness: 2)] {
      let start = try peers(mode)
      var recorded = start
      let records = try await recorded.run(rounds: 4, arrivals: RandomKey(5)).records
      let bytes = try JSONEncoder().encode(records)
      let read = try JSONDecoder().decode([GossipRecord].self, from: bytes)
      let byNode = read.sorted { ($0.node, $0.round) < ($1.node, $1.round) }
      for records in [read, byNode] {
        var replayed = start
        let reports = try await replayed.replay(records)
        #expect(sameBits(replayed.models, recorded.models))
        #expect(replayed.roundsDone == recorded.roundsDone)
        #expect(Set(reports.records) == Set(records))
      }
    }
  }

  @Test("a replay may begin in the middle, from a copy")
  func replayFromTheMiddle() async throws {
    var peers = try peers(.asynchronous(quorum: 4, staleness: 2))
    try await peers.run(rounds: 2, arrivals: RandomKey(1))
    var copy = peers
    let records = try await peers.run(rounds: 2, arrivals: RandomKey(2)).records
    try await copy.replay(records)
    #expect(sameBits(copy.models, peers.models))
  }

  @Test("a record that does not follow from the others is refused, and nothing is changed")
  func impossibleRecords() async throws {
    let start = try peers(.synchronous)
    var run = start
    let records = try await run.round().records
    let others = Array(records.dropFirst())
    for broken in [
      [GossipRecord(node: 9, round: 0, used: [])], [GossipRecord(node: 0, round: 1, used: [])],
      [GossipRecord(node: 0, round: 0, used: [.init(sender: 0, round: 0)])],
      [GossipRecord(node: 0, round: 0, used: [.init(sender: 1, round: 3)])] + others,
      [GossipRecord(node: 0, round: 0, used: records[0].used.reversed())] + others,
      [GossipRecord(node: 0, round: 0, used: records[0].used + records[0].used.suffix(1))] + others,
      [GossipRecord(node: 0, round: 0, used: records[0].used, hasQuorum: false)] + others,
      others,
    ] {
      var peers = start
      await #expect(throws: PeerToPeerError.self) { try await peers.replay(broken) }
      #expect(sameBits(peers.models, start.models))
    }
  }

  @Test("a record that uses too few vectors, or too old ones, is refused")
  func impossibleQuorums() async throws {
    let start = try peers(.asynchronous(quorum: 5, staleness: 0))
    var run = start
    let records = try await run.run(rounds: 2, arrivals: RandomKey(1)).records
    let index = try #require(records.firstIndex { $0.node == 0 && $0.round == 1 && $0.hasQuorum })
    let used = records[index].used
    for broken in [
      Array(used.prefix(4)), used.map { .init(sender: $0.sender, round: 0) },
    ] {
      var (peers, records) = (start, records)
      records[index] = GossipRecord(node: 0, round: 1, used: broken)
      await #expect(throws: PeerToPeerError.impossibleRecord(records[index])) {
        try await peers.replay(records)
      }
    }
  }

  @Test("a round without a quorum is replayed as one")
  func withoutQuorum() async throws {
    let problem = try Peers()
    let start = try PeerToPeer(
      problem.participants(
        honest: 3, attack: Sends(vector: []), byzantine: 1, rule: .median),
      topology: .complete(4), models: problem.models(4),
      mode: .asynchronous(quorum: 3, staleness: 0))
    var recorded = start
    let reports = try await recorded.run(rounds: 2, arrivals: RandomKey(0))
    #expect(reports.contains { $0.outcome == .tooFewNeighbors })
    var replayed = start
    try await replayed.replay(reports.records)
    #expect(sameBits(replayed.models, recorded.models))
  }

  /// One node's local steps fail while the test says so, as where a library is missing.
  private func peers(failing fails: Monitor<Bool>) throws -> PeerToPeer {
    let problem = try Peers()
    let ill = try HonestNode(
      name: "ill",
      model: WatchedModel(base: problem.model) { if fails.withLock({ $0 }) { throw Ill() } },
      data: problem.data, batchSize: 8, key: problem.key)
    let nodes = try problem.honest(2) + [ill]
    return try PeerToPeer(
      nodes.map { Participant.honest($0, aggregator: .mean, optimizer: problem.optimizer) },
      topology: .complete(3), models: problem.models(3))
  }

  @Test("a local step that failed where the run was is not taken where it is replayed")
  func failedSteps() async throws {
    let fails = Monitor(true)
    let start = try peers(failing: fails)
    var run = start
    var reports = try await run.round()
    #expect(reports.records.map(\.stepFailed) == [false, false, true])
    fails.withLock { $0 = false }
    reports += try await run.round()
    #expect(reports[2].failure != nil && reports[5].failure == nil)
    var replayed = start
    let again = try await replayed.replay(reports.records)
    #expect(sameBits(replayed.models, run.models))
    #expect(Set(again.records) == Set(reports.records))
  }

  @Test("a local step that was taken and fails now is an error, and changes nothing")
  func stepsThatFailNow() async throws {
    let fails = Monitor(false)
    let start = try peers(failing: fails)
    var run = start
    let reports = try await run.round()
    fails.withLock { $0 = true }
    var replayed = start
    let error = await #expect(throws: PeerToPeerError.self) {
      try await replayed.replay(reports.records)
    }
    guard case .stepFailed(let record, let reason) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(record == reports[2].record && reason.contains("Ill"))
    #expect(sameBits(replayed.models, start.models))
  }
}

private struct Ill: Error {}
