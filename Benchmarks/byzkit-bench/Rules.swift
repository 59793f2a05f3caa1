import ArgumentParser
import ByzKit
import Foundation

/// Times the rules beside their yardsticks, and says which limits they keep.
struct Rules: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time ByzKit's rules beside a mean, OpenBLAS and each other.",
    discussion: """
      Every row and its yardstick take turns in one process on the same inputs. The first answer of \
      each is checked against a plain computation in double precision. One thread, except in rows \
      that run on a pool of two workers.

      OPENBLAS_CORETYPE overrules the kernels that ByzKit chooses for OpenBLAS: unset it to measure \
      the limits.
      """)

  @Option(help: "Only rows whose group/name/data contains this, as in 'rules/NNM' or '/alie'.")
  var filter: String?
  @Option(help: "Calls of each, rounded up to a multiple of the number of inputs.") var runs = 15
  @Flag(help: "Fail if a limit is missed in four measurements; the best of them counts.")
  var check = false
  @Option(help: "Where to write all figures, as JSON.") var json: String?

  func validate() throws {
    guard 9...1_000_000 ~= runs else {
      throw ValidationError("--runs is \(runs), but must be in 9...1000000.")
    }
  }

  func run() async throws {
    let rows = Table.rows.filter { row in
      guard let filter else { return true }
      return "\(row.group)/\(row.name)/\(row.data.rawValue)".lowercased()
        .contains(filter.lowercased())
    }
    guard !rows.isEmpty else { throw ValidationError("No row matches --filter \(filter ?? "").") }
    var report = Report(machine: .current, timings: [])
    print(report.machine.description)
    if let warning = report.machine.warning { print("warning    \(warning)") }
    report.timings = try await withActorPool(.threads(2)) { pool in
      var timings: [Timing] = []
      for group in groups(of: rows) {
        var table: [Timing] = []
        for row in group { table += try await measure(row, pool: pool) }
        print("\n\(group[0].group)\n\(table.table)")
        timings += table
      }
      return timings
    }
    if let json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      try encoder.encode(report).write(to: URL(fileURLWithPath: json))
    }
    let over = report.timings.filter { ($0.use ?? 0) > 1 }
    if check, !over.isEmpty {
      let names = over.map { "\($0.row) (\($0.data.rawValue))" }
      print("\nOver the limit: \(names.joined(separator: ", "))")
      throw ExitCode.failure
    }
  }

  private func measure(_ row: Row, pool: ActorPool) async throws -> [Timing] {
    let prepared = try await PreparedRow(row, pool: pool)
    var best = try await prepared.measure(runs: runs)
    for _ in 0..<3 where check && best.contains(where: { ($0.use ?? 0) > 1 }) {
      let again = try await prepared.measure(runs: runs)
      best = zip(best, again).map { ($0.use ?? 0) <= ($1.use ?? 0) ? $0 : $1 }
    }
    return best
  }

  /// The rows in their order, cut where the group changes.
  private func groups(of rows: [Row]) -> [[Row]] {
    rows.reduce(into: []) { groups, row in
      if groups.last?.last?.group == row.group {
        groups[groups.count - 1].append(row)
      } else {
        groups.append([row])
      }
    }
  }
}
