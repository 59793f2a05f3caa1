import ByzKit
import ExampleSupport

extension Problem {
  /// Trains without a server until the last round, or until the task is cancelled.
  func trainAmongPeers(
    _ topology: Topology, mode: GossipMode, on workers: [WorkerConfiguration],
    progress: ProgressDisplay
  ) async throws -> PeerReport {
    var peers = try PeerToPeer(
      honest: honest, byzantine: byzantine, topology: topology, aggregator: rule,
      optimizer: optimizer, parameters: parameters, mode: mode)
    let clock = ContinuousClock()
    let start = clock.now
    return try await withActorPool(workers, registry: .byzKit) { pool in
      var tally = Tally()
      do {
        if mode.isInStep {
          for round in 1...plan.rounds {
            tally.add(try await peers.round(on: pool))
            if plan.evalInterval > 0, round % plan.evalInterval == 0, round < plan.rounds {
              let accuracies = try accuracies(of: peers)
              progress.log(
                round: round, loss: tally.last.values.meanLoss, accuracy: accuracies.mean)
            }
            progress.show(round: round)
          }
        } else {
          // In one go: to stop for a test would let all messages arrive.
          tally.add(
            try await peers.run(
              rounds: plan.rounds, arrivals: key.derived(for: "arrivals"), on: pool))
        }
      } catch is CancellationError {
        tally.wasStopped = true
      }
      let accuracies = try accuracies(of: peers)
      let rounds = peers.roundsDone.max() ?? 0
      progress.log(round: rounds, loss: tally.last.values.meanLoss, accuracy: accuracies.mean)
      return PeerReport(
        problem: self, peers: peers, tally: tally, accuracies: accuracies, rounds: rounds,
        seconds: (clock.now - start).seconds)
    }
  }

  /// The same with each node on one of the hosts, in turn: the models travel between the hosts, not through this process.
  func trainAmongHosts(
    _ hosts: [any WorkerBackend], _ topology: Topology, mode: GossipMode,
    progress: ProgressDisplay
  ) async throws -> PeerReport {
    let participants = try specifications.map { try Participant($0) }
    var peers = try PeerToPeer(
      participants, topology: topology, models: participants.map { _ in parameters }, mode: mode)
    let plan = ClusterPlan(participants, topology: topology, models: peers.models, mode: mode)
    let clock = ContinuousClock()
    let start = clock.now
    return try await withCluster(plan, on: RemoteCluster(hosts)) { cluster in
      var tally = Tally()
      var rounds = 0
      // In one go where nodes are not in step: to stop for a test would let the slow ones catch up.
      let interval =
        mode.isInStep && self.plan.evalInterval > 0 ? self.plan.evalInterval : self.plan.rounds
      do {
        while rounds < self.plan.rounds {
          let rest = self.plan.rounds - rounds
          let count = min(interval - rounds % interval, rest, cluster.mostRounds)
          for (node, result) in try await cluster.run(rounds: count).enumerated() {
            do {
              tally.add(try result.get())
            } catch {
              progress.note("Node \(node) is lost: \(error)")
              tally.lose(node, error)
            }
          }
          if honest.indices.allSatisfy({ tally.lost[$0] != nil }) {
            throw UsageError("No honest node is left: \(tally.lost[0] ?? "")")
          }
          let models = zip(try await cluster.models(), peers.models).map { $0 ?? $1 }
          peers = try PeerToPeer(participants, topology: topology, models: models, mode: mode)
          rounds += count
          if rounds % interval == 0 || rounds == self.plan.rounds {
            progress.log(
              round: rounds, loss: tally.last.values.meanLoss,
              accuracy: try accuracies(of: peers).mean)
          }
          progress.show(round: rounds)
        }
      } catch is CancellationError {
        tally.wasStopped = true
      }
      if cluster.lettersPassedOn > 0 {
        progress.note(
          "\(cluster.lettersPassedOn) messages went through this program: some hosts do not reach each other."
        )
      }
      return PeerReport(
        problem: self, peers: peers, tally: tally, accuracies: try accuracies(of: peers),
        rounds: rounds, seconds: (clock.now - start).seconds)
    }
  }

  /// The accuracy of each honest node's model, as far as is known.
  private func accuracies(of peers: PeerToPeer) throws -> [Double] {
    try peers.models.prefix(honest.count).map(accuracy(at:))
  }
}

/// What the rounds' reports come down to.
struct Tally {
  /// Each node's last report.
  private(set) var last: [Int: GossipReport] = [:]
  /// Rounds of honest nodes.
  private(set) var rounds = 0
  /// Those in which the node moved to an aggregate.
  private(set) var moves = 0
  /// Why nodes are lost now: their models are those of the last time they were heard of.
  private(set) var lost: [Int: String] = [:]
  var wasStopped = false

  mutating func lose(_ node: Int, _ error: any Error) { lost[node] = "lost: \(error)" }

  mutating func add(_ reports: [GossipReport]) {
    for report in reports {
      last[report.record.node] = report
      // It is back.
      lost[report.record.node] = nil
      guard !report.isByzantine else { continue }
      rounds += 1
      if report.outcome == .moved { moves += 1 }
    }
  }
}

extension [Double] {
  /// The mean; 0 of nothing.
  var mean: Double { isEmpty ? 0 : reduce(0, +) / Double(count) }
}
