import ArgumentParser
import ByzKit
import Foundation

/// Times actors, pools and tensors on every backend.
struct Runtime: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time calls of actors, subtasks and tensors on every backend.",
    discussion: """
      All backends take turns in one run, on this machine: processes are children of this one, and \
      the server of TCP is this program once more, on loopback.
      """)

  @Option(help: "Turns of each row.") var rounds = 40
  @Option(help: "Only rows of which \"row, backend\" contains this; not the peers.") var filter:
    String?
  @Flag(help: "Print the table for a document.") var markdown = false
  @Flag(help: "Fail if a promise is not kept.") var check = false
  @Option(help: "Where to write all figures, as JSON.") var json: String?
  @Option(help: "The Python to time byzpy and ray with, where it has them.")
  var python = "python3"
  @Option(help: "The directory of the scripts that time the peers.")
  var peers = "Benchmarks/peers"

  func validate() throws {
    guard 1...1_000_000 ~= rounds else {
      throw ValidationError("--rounds is \(rounds), but must be in 1...1000000.")
    }
  }

  func run() async throws {
    var report = RuntimeReport(machine: .current, figures: [], notes: [])
    report.figures = try await RuntimeServerProcess.run { server in
      let rows = RuntimeRows(server: server, rounds: rounds, filter: filter)
      return try await rows.calls() + rows.tensors() + rows.subtasks() + rows.starts()
    }
    for script in filter == nil ? ["byzpy_actors.py", "ray_actors.py"] : [] {
      do {
        report.figures += try RuntimePeers.figures(of: "\(peers)/\(script)", python: python)
      } catch {
        report.notes.append("\(error)")
      }
    }
    print(report.machine.description)
    print("\n" + (markdown ? report.figures.grid.markdown : report.figures.grid.text))
    if !report.notes.isEmpty { print("\n" + report.notes.joined(separator: "\n")) }
    if let json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      try encoder.encode(report).write(to: URL(fileURLWithPath: json))
    }
    guard check else { return }
    let missed = report.figures.filter { $0.isKept == false }
    guard report.figures.contains(where: { $0.isKept != nil }), missed.isEmpty else {
      let rows = missed.map { "\($0.row), \($0.backend)" }.joined(separator: "; ")
      print(missed.isEmpty ? "\nNothing with a limit was measured." : "\nMissed: \(rows).")
      throw ExitCode.failure
    }
  }
}
