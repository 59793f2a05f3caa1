import ByzKit
import ExampleSupport
import Foundation

/// What is left of a run without a server.
struct PeerReport: Sendable {
  let wasStopped: Bool
  private let summary: Summary
  private let idleRounds: Int

  /// One line of the table.
  private struct Node: Codable, Sendable {
    let name: String
    let role: String
    let samples: Int
    /// Nil if there is none, or if it is not finite, for which JSON has no number.
    let loss: Float?
    /// Of an honest node's model.
    let accuracy: Double?
    let failure: String?
  }

  /// The object that `--json` prints.
  private struct Summary: Codable, Sendable {
    /// The mean of the honest models'.
    let testAccuracy: Double
    let lowestAccuracy: Double
    let highestAccuracy: Double
    /// The largest distance between two honest models; nil if it is not finite.
    let diameter: Double?
    let rounds: Int
    let seconds: Double
    /// Of the models of all honest nodes that are not lost, in the order of the nodes.
    let digest: String
    let nodes: [Node]
  }

  init(
    problem: Problem, peers: PeerToPeer, tally: Tally, accuracies: [Double], rounds: Int,
    seconds: Double
  ) {
    wasStopped = tally.wasStopped
    idleRounds = tally.rounds - tally.moves
    let left = problem.honest.indices.filter { tally.lost[$0] == nil }
    let nodes = peers.participants.enumerated().map { index, participant in
      let isHonest = !participant.isByzantine
      return Node(
        name: participant.name, role: isHonest ? "honest" : "Byzantine",
        samples: isHonest ? problem.honest[index].data.count : 0,
        loss: tally.last[index]?.loss.flatMap { isHonest && $0.isFinite ? $0 : nil },
        accuracy: isHonest && tally.lost[index] == nil ? accuracies[index] : nil,
        failure: tally.lost[index] ?? tally.last[index]?.failure)
    }
    let accuracies = left.map { accuracies[$0] }
    let diameter = peers.diameter
    summary = Summary(
      testAccuracy: accuracies.mean, lowestAccuracy: accuracies.min() ?? 0,
      highestAccuracy: accuracies.max() ?? 0, diameter: diameter.isFinite ? diameter : nil,
      rounds: rounds, seconds: seconds,
      digest: left.map { peers.models[$0] }.digest, nodes: nodes)
  }

  func json() throws -> String { try summary.sortedJSON() }

  var table: String {
    let columns = TextTable(
      header: ["node", "role", "samples", "accuracy", "last loss"],
      rows: summary.nodes.map { node in
        [
          node.name, node.role, node.samples == 0 ? "–" : "\(node.samples)",
          node.accuracy.map { String(format: "%.3f", $0) } ?? "–",
          node.failure ?? node.loss.map { String(format: "%.4f", $0) } ?? "–",
        ]
      }, rightAligned: [2, 3])
    var lines = ["", columns.text, ""]
    lines.append(
      String(
        format: "%@%d rounds in %.1f s, mean test accuracy %.3f (%.3f to %.3f)",
        wasStopped ? "Stopped after " : "", summary.rounds, summary.seconds, summary.testAccuracy,
        summary.lowestAccuracy, summary.highestAccuracy))
    lines.append(
      "largest distance between two honest models: "
        + (summary.diameter.map { String(format: "%.4g", $0) } ?? "not finite"))
    if idleRounds > 0 {
      lines.append(
        "In \(idleRounds) rounds of single nodes there was no aggregate to move to: too few neighbors, or the rule refused."
      )
    }
    lines.append("honest models: SHA-256 \(summary.digest)")
    return lines.joined(separator: "\n")
  }
}
