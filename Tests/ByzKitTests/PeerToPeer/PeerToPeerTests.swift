import ByzKit
import Testing

@Suite("Peer to peer")
struct PeerToPeerTests {
  @Test("refuses an optimizer that could take no step, before any round")
  func impossibleOptimizer() throws {
    let peers = try Peers()
    let participants = try peers.participants(
      honest: 3, rule: .median, optimizer: SGD(learningRate: 0.1, momentum: 1))
    #expect(throws: ModelError.self) {
      try PeerToPeer(participants, topology: .complete(3), models: peers.equalModels(3))
    }
  }

  /// Seven honest nodes and two liars on a complete graph, each node with a model of its own; steps are taken if `rate` > 0.
  private func peers(
    _ rule: any Aggregator, attack: any Attack, rate: Double = 0
  ) throws -> PeerToPeer {
    let problem = try Peers()
    return try PeerToPeer(
      problem.participants(
        honest: 7, attack: attack, byzantine: 2, rule: rule,
        optimizer: SGD(learningRate: .constant(rate))),
      topology: .complete(9), models: problem.models(9))
  }

  static let lies: [any Attack] = [
    Empire(scale: -3), SignFlip(scale: -5), TwoFaced(), Gaussian(deviation: 20),
    TwoFaced(even: Gaussian(mean: 9), odd: SignFlip()), LabelFlip(), OptimizedAttack(.alie),
  ]

  @Test("honest models contract towards each other under attack", arguments: lies)
  func contracts(attack: any Attack) async throws {
    for rule in [TrimmedMean(f: 2), MultiKrum(f: 2, q: 4), MoNNA(f: 2)] as [any Aggregator] {
      var peers = try peers(rule, attack: attack)
      let before = peers.diameter
      for _ in 0..<6 { try await peers.round() }
      #expect(peers.diameter < before / 8, "\(rule.name) against \(attack.name)")
    }
  }

  @Test("with the mean, liars with two faces drive honest models apart")
  func meanDoesNotContract() async throws {
    let lies = TwoFaced(even: Sends(vector: ones(50)), odd: Sends(vector: ones(-50)))
    var peers = try peers(.mean, attack: lies)
    let before = peers.diameter
    for _ in 0..<6 { try await peers.round() }
    #expect(peers.diameter > before)
  }

  private func ones(_ value: Float) -> [Float] { Array(repeating: value, count: 21) }

  @Test("learns as well as with a server, within two points, on the complete graph")
  func asGoodAsAServer() async throws {
    let problem = try Peers()
    let attack = Empire(scale: -10)
    var server = try ParameterServer(
      honest: problem.honest(7), byzantine: problem.byzantine(2, attack), aggregator: .median,
      optimizer: problem.optimizer, parameters: problem.equalModels(1)[0])
    var peers = try PeerToPeer(
      honest: problem.honest(7), byzantine: problem.byzantine(2, attack), topology: .complete(9),
      aggregator: .median, optimizer: problem.optimizer, parameters: problem.equalModels(1)[0])
    var reports: [GossipReport] = []
    for _ in 0..<30 {
      try await server.round()
      reports = try await peers.round()
    }
    let expected = try problem.model.accuracy(at: server.parameters, on: problem.data)
    for model in peers.models.prefix(7) {
      #expect(try problem.model.accuracy(at: model, on: problem.data) >= expected - 0.02)
    }
    #expect(expected > 0.95)
    #expect((reports.meanLoss ?? 9) < 0.3)
    #expect(peers.roundsDone == Array(repeating: 30, count: 9))
  }

  @Test("a node moves to the aggregate (ByzPy computes one, and throws it away)")
  func moves() async throws {
    let problem = try Peers()
    let models = problem.models(3)
    var peers = try PeerToPeer(
      problem.participants(honest: 3, rule: .median, optimizer: SGD(learningRate: 0.0)),
      topology: .complete(3), models: models)
    let reports = try await peers.round()
    let median = try Median().aggregate(models)
    #expect(peers.models.allSatisfy { $0.hasSameBits(as: median) })
    #expect(reports.map(\.outcome) == [.moved, .moved, .moved])
  }

  @Test("a node uses its own rule and pre-aggregators (ByzPy has a median built in)")
  func ownRule() async throws {
    let problem = try Peers()
    let models = problem.models(4)
    let rules: [any Aggregator] = [
      Mean(), Median(), NearestNeighborMixing(f: 1).then(Mean()), MoNNA(f: 1),
    ]
    let nodes = try problem.honest(4)
    var peers = try PeerToPeer(
      zip(nodes, rules).map { .honest($0, aggregator: $1, optimizer: SGD(learningRate: 0.0)) },
      topology: .ring(4), models: models)
    try await peers.round()
    for (i, rule) in rules.enumerated() {
      let neighbors = try Topology.ring(4).inNeighbors(of: i)
      let expected = try rule.aggregate([models[i]] + neighbors.map { models[$0] })
      #expect(peers.models[i].hasSameBits(as: expected))
    }
  }

  @Test("a node's optimizer takes the local step, momentum and all (ByzPy's takes plain steps)")
  func ownOptimizer() async throws {
    let problem = try Peers()
    let node = try problem.honest(1)[0]
    var peers = try PeerToPeer(
      [.honest(node, aggregator: .mean, optimizer: problem.optimizer)], topology: .complete(1),
      models: problem.models(1))
    var parameters = problem.models(1)[0]
    var state = SGD.State()
    for round in 0..<3 {
      try await peers.round()
      let gradient = try node.gradient(at: parameters, round: round).gradient
      try problem.optimizer.update(&parameters, with: gradient, state: &state)
    }
    #expect(peers.models[0].hasSameBits(as: parameters))
  }

  @Test("gives the same bits in the calling task and on 1 and 3 workers")
  func sameBitsOnAPool() async throws {
    let problem = try Peers()
    func train(on pool: ActorPool?) async throws -> [Tensor<Float>] {
      var peers = try PeerToPeer(
        problem.participants(
          honest: 5, attack: TwoFaced(even: Gaussian(), odd: LabelFlip()), byzantine: 1,
          rule: Clipping(threshold: 3).then(TrimmedMean(f: 1))),
        topology: .ring(6, k: 2), models: problem.models(6))
      for _ in 0..<4 { try await peers.round(on: pool) }
      return peers.models
    }
    let expected = try await train(on: nil)
    for workers in [1, 3] {
      let actual = try await withActorPool(.threads(workers)) { try await train(on: $0) }
      #expect(sameBits(actual, expected), "\(workers) workers")
    }
  }

  @Test("local steps run on the pool's workers (ByzPy's run in the parent)")
  func runsOnTheWorkers() async throws {
    let peers = try peers(.median, attack: Empire(), rate: 0.1)
    let completed = try await withActorPool(.threads(2)) { pool in
      var peers = peers
      try await peers.round(on: pool)
      return pool.statistics.map(\.completed).reduce(0, +)
    }
    #expect(completed >= 7)  // a gradient for each honest node
  }

  @Test(
    "a vector of the wrong size or that is not finite is its sender's failure, and the round goes on (ByzPy's raises)",
    arguments: [Sends(vector: [1, 2]), Sends(vector: Array(repeating: .nan, count: 21))])
  func unusableVector(lie: Sends) async throws {
    var peers = try peers(.median, attack: lie)
    let before = peers.diameter
    let reports = try await peers.round()
    #expect(peers.diameter < before)
    for report in reports where !report.isByzantine {
      #expect(report.outcome == .moved)
      #expect(report.record.used.allSatisfy { $0.sender < 7 })
      #expect(report.dropped.map(\.sender) == [7, 8])
      #expect(report.dropped[0].reason == (lie.vector.count == 2 ? .wrongShape([2]) : .notFinite))
    }
  }

  @Test("a node whose step fails still sends its model, and aggregates")
  func failingStep() async throws {
    let problem = try Peers()
    let broken = try HonestNode(
      name: "broken", model: WatchedModel(base: problem.model) { throw ModelError.emptyBatch },
      data: problem.data[0..<4], batchSize: 2, key: RandomKey(3))
    let models = problem.models(3)
    var peers = try PeerToPeer(
      honest: problem.honest(2) + [broken], topology: .complete(3), aggregator: .mean,
      optimizer: problem.optimizer, parameters: models[0])
    let reports = try await peers.round()
    #expect(reports.map { $0.failure == nil } == [true, true, false])
    #expect(reports.map(\.outcome) == [.moved, .moved, .moved])
  }

  @Test("a step that would leave a model not finite is not taken, and the node aggregates")
  func infiniteStep() async throws {
    let problem = try Peers()
    let models = problem.models(3)
    var peers = try PeerToPeer(
      problem.participants(honest: 3, rule: .mean, optimizer: SGD(learningRate: 1e39)),
      topology: .complete(3), models: models)
    let reports = try await peers.round()
    #expect(reports.allSatisfy { $0.failure != nil && $0.outcome == .moved })
    #expect(peers.models[0].hasSameBits(as: try Mean().aggregate(models)))
  }

  @Test("a rule that refuses leaves a node with its own model, and the round goes on")
  func refusal() async throws {
    let problem = try Peers()
    // Node 0 hears an honest node and two that send rubbish: two vectors are too few for f = 1.
    var peers = try PeerToPeer(
      problem.participants(
        honest: 2, attack: Sends(vector: []), byzantine: 2, rule: TrimmedMean(f: 1)),
      topology: .complete(4), models: problem.models(4))
    let reports = try await peers.round()
    guard case .refused(.illegalCount(_, 2, 1, _)) = reports[0].outcome else {
      Issue.record("\(reports[0].outcome)")
      return
    }
  }

  @Test("refuses rules, attacks, counts and quorums that cannot work, before any round")
  func impossible() throws {
    let problem = try Peers()
    let three = try problem.participants(honest: 3, rule: .median)
    #expect(throws: PeerToPeerError.wrongCount(of: "participants", expected: 4, actual: 3)) {
      try PeerToPeer(three, topology: .ring(4), models: problem.models(4))
    }
    #expect(throws: PeerToPeerError.wrongCount(of: "models", expected: 3, actual: 2)) {
      try PeerToPeer(three, topology: .ring(3), models: problem.models(2))
    }
    #expect(throws: PeerToPeerError.self) {
      // The leaves of a star hear one node: with their own two vectors.
      try PeerToPeer(
        problem.participants(honest: 5, rule: .krum(f: 1)), topology: .star(5),
        models: problem.models(5))
    }
    #expect(throws: PeerToPeerError.impossibleQuorum(node: 0, quorum: 3, neighbors: 2)) {
      try PeerToPeer(
        three, topology: .ring(3), models: problem.models(3),
        mode: .asynchronous(quorum: 3, staleness: 1))
    }
    #expect(throws: PeerToPeerError.negativeStaleness(-1)) {
      try PeerToPeer(
        three, topology: .ring(3), models: problem.models(3),
        mode: .asynchronous(quorum: 1, staleness: -1))
    }
    #expect(throws: ModelError.self) {
      try PeerToPeer(three, topology: .ring(3), models: Array(repeating: [1, 2], count: 3))
    }
    #expect(throws: (any Error).self) {
      try peers(.median, attack: TwoFaced(odd: Empire(scale: .nan)))
    }
    let blind = try ByzantineNode(name: "b", attack: TwoFaced(odd: SignFlip()), key: RandomKey(0))
    #expect(throws: AttackError.self) {
      try PeerToPeer(
        honest: problem.honest(2), byzantine: [blind], topology: .complete(3), aggregator: .median,
        optimizer: problem.optimizer, parameters: problem.models(1)[0])
    }
  }

  @Test("a liar sees what its neighbors sent in this round (ByzPy's caches grow every round)")
  func viewIsOfTheRound() async throws {
    let problem = try Peers()
    let models = problem.models(4)
    // 0 — 1 — 2, and the liar 3 hears 2 alone and sends to 0 what 2 sent.
    let topology = try Topology(
      nodes: 4, edges: [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 0)], directed: true)
    var peers = try PeerToPeer(
      problem.participants(
        honest: 3, attack: Mimic(), byzantine: 1, rule: .mean, optimizer: SGD(learningRate: 0.0)),
      topology: topology, models: models)
    for _ in 0..<3 {
      let before = peers.models
      let reports = try await peers.round()
      #expect(reports[3].record.used.map(\.sender) == [2])
      let expected = try Mean().aggregate([before[0], before[1], before[2]])
      #expect(peers.models[0].hasSameBits(as: expected))
    }
  }

  @Test("two runs do not touch each other (ByzPy's second run can drive the first one's nodes)")
  func independentRuns() async throws {
    var first = try peers(.median, attack: Empire(), rate: 0.1)
    var second = first
    try await first.round()
    let models = first.models
    try await second.round()
    try await second.round()
    #expect(sameBits(first.models, models))
  }
}
