import ArgumentParser
import ByzKit
import Foundation

/// A short run for continuous integration: has a row become slower than it was?
struct Smoke: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare each row's time, in means of the same data, with what was recorded.",
    discussion: """
      A row that takes more than 1.5 of its recorded ratio is measured three times more, and the best counts. Ratios belong to a \
      processor and a kernel variant; where none are recorded the run says so and ends well. --record writes them.
      """)

  @Option(help: "Where the ratios are recorded.") var file = "Benchmarks/smoke.json"
  @Flag(help: "Record this machine's ratios instead.") var record = false

  func run() async throws {
    let machine = Machine.current
    let key = "\(machine.processor), \(machine.kernels)"
    var records = SmokeRecords(
      ratios: (try? JSONDecoder().decode(
        [String: [String: Double]].self, from: Data(contentsOf: URL(fileURLWithPath: file)))) ?? [:]
    )
    guard record || records.ratios[key] != nil else {
      print(
        "smoke: skipped: \(file) has no ratios for \(key); 'byzkit-bench smoke --record' adds them")
      return
    }
    let rows = RowTable.published.map { row in
      var row = row
      row.ways = [.fresh]
      row.data = [.gaussian]
      row.inputs = 3
      return row
    }
    var misses: [String] = []
    var found: [String: Double] = [:]
    let arithmetic = RateMeasurement().arithmetic(size: 4)
    for row in rows {
      // One kernel makes this row and the mean: only its floor shows that it has become slower.
      let isMean = row.name.hasPrefix("Empire")
      let name = isMean ? "\(row.name), of its floor" : row.name
      let prepared = try PreparedRow(row, on: .gaussian, pools: Pools(), arithmetic: arithmetic)
      func measured() async throws -> Double {
        let result = try await prepared.measure(rounds: 15)
        return (isMean ? result.floorRatio : result.yardstickRatio) ?? .nan
      }
      var ratios = [try await measured()]
      let recorded = records.ratios[key]?[name]
      while !record, SmokeRecords.isRepeated(ratios, recorded: recorded) {
        ratios.append(try await measured())
      }
      // What is recorded should be usual, not lucky.
      if record { for _ in 0..<2 { ratios.append(try await measured()) } }
      found[name] = record ? Times.median(ratios) : ratios.min()
      let line =
        "\(name): \(ratios.map { String(format: "%.2f", $0) }.joined(separator: ", "))"
      print("smoke: \(line)\(recorded.map { String(format: " (recorded %.2f)", $0) } ?? "")")
      if !record, SmokeRecords.isMissed(ratios, recorded: recorded) { misses.append(name) }
    }
    if record {
      records.ratios[key] = found.mapValues { ($0 * 100).rounded() / 100 }
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      try (encoder.encode(records.ratios) + Data("\n".utf8)).write(to: URL(fileURLWithPath: file))
      print("smoke: recorded \(found.count) rows for \(key)")
    } else if misses.isEmpty {
      print("smoke: no row of \(rows.count) takes more than 1.5 times what was recorded")
    } else {
      print("smoke: slower than recorded: \(misses.joined(separator: ", "))")
      throw ExitCode.failure
    }
  }
}

/// Recorded ratios by machine and row, and what becomes of new ones.
package struct SmokeRecords: Sendable {
  package var ratios: [String: [String: Double]]
  private static let tolerance = 1.5
  private static let repetitions = 3

  /// Whether to measure once more: all so far miss, and there have not been three more.
  package static func isRepeated(_ found: [Double], recorded: Double?) -> Bool {
    isMissed(found, recorded: recorded) && found.count <= repetitions
  }

  /// Whether even the best is too slow. A row that was never recorded cannot be.
  package static func isMissed(_ found: [Double], recorded: Double?) -> Bool {
    guard let recorded else { return false }
    return !found.contains { $0 <= tolerance * recorded }
  }
}
