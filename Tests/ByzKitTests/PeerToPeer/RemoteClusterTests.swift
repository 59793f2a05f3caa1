import ByzKit
import ByzRuntime
import ByzTensor
import ByzTesting
import Testing

/// Four honest nodes and a liar, each connected to all others.
func clusterPlan(
  _ mode: GossipMode = .synchronous, attack: String = "empire:scale=-5",
  deadline: Duration = .seconds(600), threads: Int = 0
) throws -> ClusterPlan {
  let peers = try Peers()
  let honest = try peers.honest(4).map {
    ParticipantSpecification(
      .honest($0), aggregator: "trimmedMean:f=1", optimizer: peers.optimizer)
  }
  let liar = ParticipantSpecification(
    .byzantine(name: "liar", attack: attack, own: nil, key: peers.key),
    aggregator: "trimmedMean:f=1", optimizer: peers.optimizer)
  return ClusterPlan(
    try (honest + [liar]).map(Participant.init), topology: try .complete(5),
    models: peers.equalModels(5), mode: mode, deadline: deadline, threads: threads)
}

extension RemoteCluster {
  /// Runs nodes at their own pace twice, and replays what they recorded.
  func expectAsynchronousRuns() async throws {
    let (quorum, staleness) = (2, 1)
    let plan = try clusterPlan(.asynchronous(quorum: quorum, staleness: staleness))
    let (reports, models) = try await withCluster(plan, on: self) { cluster in
      var reports: [GossipReport] = []
      for rounds in [4, 3] {
        for result in try await cluster.run(rounds: rounds) {
          #expect(try result.get().count == rounds)
          reports += try result.get()
        }
      }
      return (reports, try await cluster.models())
    }
    for report in reports where !report.isByzantine && report.record.hasQuorum {
      #expect(report.outcome == .moved)
      #expect(report.record.used.count >= quorum)
      #expect(report.record.used.allSatisfy { $0.round >= report.record.round - staleness })
    }
    var replayed = try PeerToPeer(
      plan.participants, topology: plan.topology, models: plan.models, mode: plan.mode)
    try await replayed.replay(reports.records)
    #expect(sameBits(replayed.models, models.compactMap(\.self)))
  }

  /// Has a node finish that is slower than all others.
  func expectSlowNodeFinishes() async throws {
    // More letters of the slow one than the others' mailboxes hold.
    let (rounds, attack) = (12, "optimalALIE:evals=2000")
    let plan = try clusterPlan(.asynchronous(quorum: 2, staleness: 1), attack: attack)
    let results = try await withCluster(plan, on: self) { try await $0.run(rounds: rounds) }
    for result in results { #expect(try result.get().count == rounds) }
  }
}

// The sanitizers take their time.
@Suite("A cluster of processes", .timeLimit(.minutes(5)))
struct RemoteClusterTests {
  private let backend = RemoteCluster([ProcessBackend(running: KitWorker.self)])

  @Test("goes on at each node's own pace, run after run, and its records give the same bits again")
  func asynchronous() async throws { try await backend.expectAsynchronousRuns() }

  @Test("lets a node that is slower finish when the others are done")
  func pace() async throws { try await backend.expectSlowNodeFinishes() }

  /// With letters that go directly. An introduction has its time limit, which may be over on a busy machine, but not every time.
  private func train(
    _ plan: ClusterPlan, on backend: some ClusterBackend
  ) async throws -> [Tensor<Float>] {
    var models: [Tensor<Float>] = []
    var lettersPassedOn = Int.max
    for _ in 0..<3 where lettersPassedOn > 0 {
      models = try await withCluster(plan, on: backend) { cluster in
        for rounds in [3, 2] {
          for (node, result) in try await cluster.run(rounds: rounds).enumerated() {
            #expect(try result.get().map(\.record.node) == [Int](repeating: node, count: rounds))
          }
        }
        lettersPassedOn = cluster.lettersPassedOn
        return try await cluster.models().compactMap(\.self)
      }
    }
    #expect(lettersPassedOn == 0)
    return models
  }

  @Test(
    "learns bit for bit what nodes in one process learn, run after run",
    arguments: ["empire:scale=-5", "twoFaced:scale=3"])
  func bits(attack: String) async throws {
    let plan = try clusterPlan(attack: attack)
    let expected = try await train(plan, on: .inProcess)
    let actual = try await train(plan, on: backend)
    #expect(expected.count == 5)
    let isSame = sameBits(actual, expected)
    #expect(isSame)
  }

  @Test("computes on threads of each node's own, with the same bits")
  func threads() async throws {
    let expected = try await train(clusterPlan(), on: .inProcess)
    let plan = try clusterPlan(threads: 2)
    let (together, apart) = try await (train(plan, on: .inProcess), train(plan, on: backend))
    #expect(sameBits(together, expected))
    #expect(sameBits(apart, expected))
    // Whose gradients are computed on a worker of a pool.
    let onWorkers = Monitor<[Bool]>([])
    let peers = try Peers()
    for threads in [0, 1] {
      let model = WatchedModel(base: peers.model) {
        let isOnWorker = withUnsafeCurrentTask { $0?.unownedTaskExecutor != nil }
        onWorkers.withLock { $0.append(isOnWorker) }
      }
      let node = try HonestNode(
        name: "watched", model: model, data: peers.data, batchSize: 8, key: peers.key)
      let alone = ClusterPlan(
        [.honest(node, aggregator: Mean(), optimizer: peers.optimizer)], topology: try .complete(1),
        models: peers.models(1), threads: threads)
      for result in try await withCluster(alone, body: { try await $0.run(rounds: 2) }) {
        #expect(try result.get().count == 2)
      }
    }
    #expect(onWorkers.withLock { $0 } == [false, false, true, true])
  }

  @Test("refuses more threads than a node can have", arguments: [-1, 1025])
  func tooManyThreads(count: Int) async throws {
    let error = await #expect(throws: RuntimeError.self) {
      try await withCluster(try clusterPlan(threads: count), on: backend) { _ in }
    }
    #expect(error?.code == .invalidConfiguration)
  }

  @Test("loses nothing of nodes that wait for nobody, however far ahead they are")
  func leaders() async throws {
    let peers = try Peers()
    let participants = try peers.honest(3).map {
      try Participant(
        ParticipantSpecification(.honest($0), aggregator: "mean", optimizer: peers.optimizer))
    }
    let plan = ClusterPlan(
      participants,
      topology: try Topology(nodes: 3, edges: [(0, 2), (1, 2)], directed: true),
      models: peers.models(3), deadline: .seconds(600))
    let rounds = 20
    var expected = try PeerToPeer(participants, topology: plan.topology, models: plan.models)
    for _ in 0..<rounds { try await expected.round() }
    let inOneProcess = expected.models
    try await withCluster(plan, on: backend) { (cluster) async throws -> Void in
      for (node, result) in try await cluster.run(rounds: rounds).enumerated() {
        let used = try result.get().map { $0.record.used.map(\.sender) }
        let heard: [Int] = node == 2 ? [0, 1] : []
        #expect(used == Array(repeating: heard, count: rounds))
      }
      let models = try await cluster.models().compactMap(\.self)
      let isSame = sameBits(models, inOneProcess)
      #expect(isSame)
    }
  }

  @Test("refuses nodes on threads, which would share one address, and models of two shapes")
  func impossiblePlaces() async throws {
    let error = await #expect(throws: RuntimeError.self) {
      try await withCluster(try clusterPlan(), on: .hosts(.thread)) { _ in }
    }
    #expect(error?.message.contains(".inProcess") == true)
    let plan = try clusterPlan()
    let other = ClusterPlan(
      plan.participants, topology: plan.topology,
      models: plan.models.dropLast() + [Tensor<Float>([1, 2])])
    await #expect(throws: ModelError.wrongParameterCount(expected: plan.models[0].count, actual: 2))
    { try await withCluster(other, on: backend) { _ in } }
    await #expect(throws: ModelError.wrongParameterCount(expected: plan.models[0].count, actual: 2))
    { try await withCluster(other) { _ in } }
  }

  @Test("refuses a deadline within which no vector can come from another process")
  func noTime() async throws {
    let error = await #expect(throws: RuntimeError.self) {
      try await withCluster(try clusterPlan(deadline: .zero), on: backend) { _ in }
    }
    #expect(error?.code == .invalidConfiguration)
  }

  @Test("refuses a participant that another process could not make")
  func unspecified() async throws {
    let peers = try Peers()
    let plan = ClusterPlan(
      try peers.participants(honest: 3, rule: .median), topology: try .complete(3),
      models: peers.equalModels(3))
    await #expect(throws: PeerToPeerError.notSpecified(node: 0)) {
      try await withCluster(plan, on: backend) { _ in }
    }
  }
}
