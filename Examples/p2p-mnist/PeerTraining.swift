import ByzKit
import ExampleSupport

extension Problem {
  /// Trains without a server until the last round, or until the task is cancelled.
  func trainAmongPeers(
    _ topology: Topology, mode: GossipMode, workers: Int, progress: ProgressDisplay
  ) async throws -> PeerReport {
    var peers = try PeerToPeer(
      honest: honest, byzantine: byzantine, topology: topology, aggregator: rule,
      optimizer: optimizer, parameters: parameters, mode: mode)
    let clock = ContinuousClock()
    let start = clock.now
    return try await withActorPool(.threads(workers)) { pool in
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

  /// The accuracy of each honest node's model.
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
  var wasStopped = false

  mutating func add(_ reports: [GossipReport]) {
    for report in reports {
      last[report.record.node] = report
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
