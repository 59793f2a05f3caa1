import ByzKit
import ByzRuntime
import ByzTCP
import ByzTensor
import ByzWorkerSupport
import Distributed
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A process that hosts nodes for as long as it lives.
distributed actor NodeHost: RemoteActor {
  typealias ActorSystem = ByzActorSystem

  init(_ arguments: Int, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  distributed func identifier() -> Int32 { getpid() }

  distributed func listen() async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
      Task {
        do {
          try await withWorkerServer(registry: .byzKit) {
            continuation.resume(returning: $0.address)
            await $0.waitUntilDraining()
          }
        } catch {
          continuation.resume(throwing: error)
        }
      }
    }
  }
}

@Suite("A cluster of processes", .timeLimit(.minutes(1)))
struct RemoteClusterTests {
  private let backend = RemoteCluster([ProcessBackend(running: KitWorker.self)])

  private func plan(
    _ mode: GossipMode = .synchronous, attack: String = "empire:scale=-5",
    deadline: Duration = .seconds(600)
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
      models: peers.equalModels(5), mode: mode, deadline: deadline)
  }

  /// Hands `body` where the nodes live: in children of this process, or on two hosts.
  private func withPlaces(
    onHosts: Bool, _ body: (RemoteCluster) async throws -> Void
  ) async throws {
    guard onHosts else { return try await body(backend) }
    try await withWorkerServer(registry: .byzKit) { (first) async throws -> Void in
      try await withWorkerServer(registry: .byzKit) { (second) async throws -> Void in
        try await body(.hosts(.tcp(first.address), .tcp(second.address)))
      }
    }
  }

  @Test(
    "goes on at each node's own pace, run after run, and its records give the same bits again",
    arguments: [false, true])
  func asynchronous(onHosts: Bool) async throws {
    let (quorum, staleness) = (2, 1)
    let plan = try plan(.asynchronous(quorum: quorum, staleness: staleness))
    try await withPlaces(onHosts: onHosts) { (backend) async throws -> Void in
      let (reports, models) = try await withCluster(plan, on: backend) { cluster in
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
  }

  @Test("lets a node that is slower finish when the others are done", arguments: [false, true])
  func pace(onHosts: Bool) async throws {
    // More letters of the slow one than the others' mailboxes hold.
    let (rounds, attack) = (12, "optimalALIE:evals=2000")
    let plan = try plan(.asynchronous(quorum: 2, staleness: 1), attack: attack)
    try await withPlaces(onHosts: onHosts) { (backend) async throws -> Void in
      let results = try await withCluster(plan, on: backend) { try await $0.run(rounds: rounds) }
      for result in results { #expect(try result.get().count == rounds) }
      let slow = try #require(try results.last?.get().last)
      #expect(slow.isByzantine && slow.undelivered == [0, 1, 2, 3])
    }
  }

  @Test(
    "goes on without the nodes of a host that is killed, between two runs or during one",
    arguments: [false, true])
  func lostHost(duringRun: Bool) async throws {
    try await withActorSystem(KitWorker.registry) { (system) async throws -> Void in
      let processes = ProcessBackend(running: KitWorker.self)
      let hosts = [
        try await system.spawn(NodeHost.self, 0, on: processes),
        try await system.spawn(NodeHost.self, 0, on: processes),
      ]
      let backend = RemoteCluster.hosts(
        .tcp(try await hosts[0].listen()), .tcp(try await hosts[1].listen()))
      let victim = try await hosts[1].identifier()
      try await withCluster(try plan(), on: backend) { (cluster) async throws -> Void in
        for result in try await cluster.run(rounds: 2) { #expect(try result.get().count == 2) }
        let rounds = duringRun ? 200 : 3
        if !duringRun { kill(victim, SIGKILL) }
        async let run = cluster.run(rounds: rounds)
        if duringRun { kill(victim, SIGKILL) }
        for (node, result) in try await run.enumerated() {
          if node % 2 == 1 {
            let error = #expect(throws: RuntimeError.self) { try result.get() }
            #expect(error?.code == .workerLost, "\(String(describing: error))")
            continue
          }
          let reports = try result.get()
          #expect(reports.count == rounds)
          let last = try #require(reports.last)
          #expect(last.outcome == (last.isByzantine ? .lied : .moved))
          #expect(last.record.used.map(\.sender) == [0, 2, 4].filter { $0 != node })
        }
        let models = try await cluster.models()
        #expect(models.map { $0 == nil } == [false, true, false, true, false])
      }
    }
  }

  @Test("learns bit for bit what nodes in one process learn, run after run")
  func bits() async throws {
    let plan = try plan()
    func train(on backend: some ClusterBackend) async throws -> [Tensor<Float>?] {
      try await withCluster(plan, on: backend) { (cluster) async throws -> [Tensor<Float>?] in
        for rounds in [3, 2] {
          for result in try await cluster.run(rounds: rounds) {
            #expect(try result.get().count == rounds)
          }
        }
        #expect(cluster.lettersPassedOn == 0)
        return try await cluster.models()
      }
    }
    let expected = try await train(on: .inProcess).compactMap(\.self)
    let actual = try await train(on: backend).compactMap(\.self)
    #expect(expected.count == 5)
    let isSame = sameBits(actual, expected)
    #expect(isSame)
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
