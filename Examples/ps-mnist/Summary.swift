import ByzKit
import Crypto
import Foundation

/// What is left of a run.
struct Summary {
  let parameters: Tensor<Float>
  let wasStopped: Bool
  private let accuracy: Double
  private let rounds: Int
  private let seconds: Double
  private let stepsTaken: Int
  private let nodes: [Node]

  /// One line of the table.
  private struct Node: Codable {
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

  /// SHA-256 of the parameters' little-endian bytes, in hexadecimal.
  private var digest: String {
    var hash = SHA256()
    parameters.withUnsafeBufferPointer { elements in
      if Int(littleEndian: 1) == 1 {
        hash.update(bufferPointer: UnsafeRawBufferPointer(elements))
      } else {
        for element in elements {
          withUnsafeBytes(of: element.bitPattern.littleEndian) { hash.update(bufferPointer: $0) }
        }
      }
    }
    return hash.finalize().map { String(format: "%02x", $0) }.joined()
  }

  func json() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    let report = Report(
      testAccuracy: accuracy, rounds: rounds, seconds: seconds, digest: digest, nodes: nodes)
    return String(decoding: try encoder.encode(report), as: UTF8.self)
  }

  var table: String {
    let width = max(4, nodes.map(\.name.count).max() ?? 0)
    func row(_ name: String, _ role: String, _ samples: String, _ loss: String) -> String {
      name.padding(toLength: width, withPad: " ", startingAt: 0) + "  "
        + role.padding(toLength: 9, withPad: " ", startingAt: 0) + "  "
        + String(repeating: " ", count: max(0, 7 - samples.count)) + samples + "  " + loss
    }
    var lines = ["", row("node", "role", "samples", "last loss")]
    for node in nodes {
      let loss = node.failure ?? node.loss.map { String(format: "%.4f", $0) } ?? "–"
      lines.append(row(node.name, node.role, node.samples == 0 ? "–" : "\(node.samples)", loss))
    }
    lines.append("")
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
    lines.append("parameters: SHA-256 \(digest)")
    return lines.joined(separator: "\n")
  }
}
