package import ByzKit
import Foundation

/// What is left of a run with a parameter server.
package struct ServerReport: Sendable {
  package let parameters: Tensor<Float>
  package let wasStopped: Bool
  private let accuracy: Double
  private let rounds: Int
  private let seconds: Double
  private let stepsTaken: Int
  private let nodes: [Node]

  /// One line of the table.
  private struct Node: Codable, Sendable {
    let name: String
    let role: String
    let samples: Int
    /// Nil if there is none, or if it is not finite, for which JSON has no number.
    let loss: Float?
    let failure: String?
  }

  /// The object that `--json` prints.
  private struct Report: Codable {
    let testAccuracy: Double
    let rounds: Int
    let seconds: Double
    let digest: String
    let nodes: [Node]
  }

  init(
    server: ParameterServer, last: RoundReport?, stepsTaken: Int, accuracy: Double, seconds: Double,
    wasStopped: Bool
  ) {
    parameters = server.parameters
    rounds = server.roundsDone
    self.stepsTaken = stepsTaken
    self.accuracy = accuracy
    self.seconds = seconds
    self.wasStopped = wasStopped
    let samples = server.honest.map(\.data.count) + server.byzantine.map { _ in 0 }
    nodes = zip(last?.nodes ?? [], samples).map { node, samples in
      Node(
        name: node.name, role: node.isByzantine ? "Byzantine" : "honest", samples: samples,
        loss: node.loss.flatMap { $0.isFinite ? $0 : nil }, failure: node.failure)
    }
  }

  package func json() throws -> String {
    let report = Report(
      testAccuracy: accuracy, rounds: rounds, seconds: seconds,
      digest: [parameters].digest, nodes: nodes)
    return try report.sortedJSON()
  }

  package var table: String {
    let columns = TextTable(
      header: ["node", "role", "samples", "last loss"],
      rows: nodes.map { node in
        [
          node.name, node.role, node.samples == 0 ? "–" : "\(node.samples)",
          node.failure ?? node.loss.map { String(format: "%.4f", $0) } ?? "–",
        ]
      }, rightAligned: [2])
    var lines = ["", columns.text, ""]
    lines.append(
      String(
        format: "%@%d rounds in %.1f s, test accuracy %.3f", wasStopped ? "Stopped after " : "",
        rounds,
        seconds, accuracy))
    if stepsTaken < rounds {
      lines.append(
        "In \(rounds - stepsTaken) rounds no step was taken: it would not have been finite, or the rule refused."
      )
    }
    lines.append("parameters: SHA-256 \([parameters].digest)")
    return lines.joined(separator: "\n")
  }
}
