import ByzKit
import ByzRuntime
import ByzTensor

extension FaultRun {
  /// Nodes in child processes that learn from each other without a server, at their own pace, while they are killed and stopped. Those that
  /// are left go on; and where none was lost, the records of all give the same models again.
  func gossip() async throws {
    let plan = try gossipPlan()
    // Longer than a process is stopped, unless for good.
    let liveness = Liveness(interval: .milliseconds(50), timeout: .seconds(2))
    do {
      try await withCluster(plan, on: RemoteCluster([ProcessBackend()], liveness: liveness)) {
        cluster in
        witnesses.watch(cluster)
        var run = GossipRun(nodes: gossipNodes)
        repeat { try await goOn(cluster, &run) } while !isOver && !run.alive.isEmpty
        // Those that were killed last may only now be missed; then nothing fails any more.
        try await goOn(cluster, &run)
        let survivors = run.alive
        try await goOn(cluster, &run)
        guard run.alive == survivors else {
          throw FaultFailure("Of nodes \(survivors) only \(run.alive) went on.")
        }
        let models = try await cluster.models()
        guard Set(models.indices.filter { models[$0] != nil }) == survivors else {
          throw FaultFailure("Nodes \(survivors) live, and others have models.")
        }
        guard survivors.count == models.count else { return }
        var replayed = try PeerToPeer(
          plan.participants, topology: plan.topology, models: plan.models, mode: plan.mode)
        try await replayed.replay(run.records)
        guard models.map({ $0?.bits }) == replayed.models.map(\.bits) else {
          throw FaultFailure("Replaying the records of all nodes leads to other models.")
        }
        counts.withLock { $0.gossipReplays += 1 }
      }
    } catch let error as RuntimeError {
      // A node that is killed while it starts.
      try typed(error, among: [.workerLost, .workerStartFailed])
      try checkLosses(1)
    }
  }

  private struct GossipRun {
    /// Who ended the last run.
    var alive: Set<Int>
    var records: [GossipRecord] = []

    init(nodes: Int) { alive = Set(0..<nodes) }
  }

  private func goOn(_ cluster: any Cluster, _ run: inout GossipRun) async throws {
    for (node, result) in try await cluster.run(rounds: 3).enumerated() {
      do {
        let reports = try result.get()
        run.records += reports.map(\.record)
        counts.withLock { $0.gossipRounds += reports.count }
      } catch let error as RuntimeError {
        if run.alive.remove(node) != nil {
          try typed(error, among: [.workerLost, .deadlineExceeded])
        }
      }
    }
    try checkLosses(gossipNodes - run.alive.count)
  }

  /// The loss of one node must not be that of others.
  private func checkLosses(_ lost: Int) throws {
    let faults = counts.withLock { $0.kills + $0.stops }
    guard lost <= faults else {
      throw FaultFailure("\(lost) nodes were lost by \(faults) faults of processes.")
    }
  }

  private var gossipNodes: Int { 4 }

  private func gossipPlan() throws -> ClusterPlan {
    let (nodes, model) = try trainingNodes(gossipNodes)
    return ClusterPlan(
      try nodes.map {
        try Participant(
          ParticipantSpecification(
            .honest($0), aggregator: "median", optimizer: SGD(learningRate: 0.05)))
      },
      topology: try .complete(gossipNodes),
      models: nodes.indices.map { model.initialParameters(key: key.child(UInt64($0))) },
      mode: .asynchronous(quorum: 2, staleness: 2), deadline: .milliseconds(300))
  }
}
