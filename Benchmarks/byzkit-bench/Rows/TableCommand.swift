import ArgumentParser
import ByzKit
import Foundation

/// Times the rules beside their peers, their floors and their yardsticks, and says which promises are kept.
struct TableCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "table",
    abstract: "Time ByzKit's rules beside other libraries and beside what the machine can do.",
    discussion: """
      Every row, its yardstick and the other libraries take turns in one run on the same bytes. ByzKit's answers are \
      checked against a plain computation in double precision. One thread, except on pools.

      OPENBLAS_CORETYPE overrules the kernels that ByzKit chooses for OpenBLAS: unset it to measure the limits.
      """)

  @Option(help: "Only rows whose name contains this.") var filter: String?
  @Option(help: "Only this kind of data: gaussian, alie, offset.") var data: DataKind?
  @Option(help: "Turns of each, fewer of those that are slow.") var rounds = 15
  @Option(help: "What each may use of a row and kind of data, in seconds, but for three calls.")
  var seconds = 3.0
  @Flag(help: "Also time ByzPy, ByzFL, torch, NumPy and krum.") var peers = false
  @Option(help: "The Python that has the peers' packages; else BYZKIT_PEERS_PYTHON.") var python:
    String?
  @Option(help: "The folder of the peers' scripts.") var peersFolder = "Benchmarks/peers"
  @Option(help: "Where to write the figures as JSON.") var json: String?
  @Option(help: "Where to write the tables for a document.") var markdown: String?
  @Option(help: "Where to write a chart.") var svg: String?
  @Flag(help: "Fail if a promise is not kept.") var check = false

  func validate() throws {
    guard 9...1_000_000 ~= rounds else {
      throw ValidationError("--rounds is \(rounds), but must be in 9...1000000.")
    }
  }

  func run() async throws {
    let rows = (RowTable.published + RowTable.shapes).filter(isWanted)
    let trains = ["CNN step", "ParameterServer"].filter {
      data == nil && (filter == nil || $0.lowercased().contains(filter?.lowercased() ?? ""))
    }
    guard !rows.isEmpty || !trains.isEmpty else {
      throw ValidationError("No row matches --filter \(filter ?? "").")
    }
    print(Machine.current.description)
    if let warning = Machine.current.warning { print("warning    \(warning)") }
    let environment = try peerEnvironment()
    let scratch = try Scratch()
    defer { scratch.remove() }
    let arithmetic = RateMeasurement().arithmetic(size: 4)
    print("rates      \(arithmetic.description)\n")
    var report = RowReport()
    try await Pools.with { pools in
      for row in rows {
        let run = RowRun(
          row: row, data: row.data.filter { data == nil || $0 == data }, rounds: rounds,
          seconds: seconds, environment: environment, scratch: scratch, arithmetic: arithmetic)
        for result in try await run.measure(on: pools) {
          report.add(result)
          print(result.line)
          if let wrong = result.wrong { print("WRONG: \(wrong)") }
        }
      }
      if trains.contains("CNN step") {
        report.add(
          try await TrainingStep(
            rounds: rounds, environment: environment, scratch: scratch, arithmetic: arithmetic
          ).measure())
      }
      for cores in [1, 2] where trains.contains("ParameterServer") {
        report.add(
          try await ServerRounds(
            rounds: rounds, cores: cores, environment: environment, arithmetic: arithmetic
          ).measure(on: pools))
      }
    }
    try finish(report)
  }

  private func isWanted(_ row: Row) -> Bool {
    guard data == nil || row.data.contains(where: { $0 == data }) else { return false }
    return filter.map { row.name.lowercased().contains($0.lowercased()) } ?? true
  }

  /// Nil, and a word about it, if the peers cannot take part.
  private func peerEnvironment() throws -> PeerEnvironment? {
    guard peers else { return nil }
    do {
      let environment = try PeerEnvironment(folder: peersFolder, python: python)
      if !environment.hasKrum {
        print("peers      krum cannot be imported and is left out: put a checkout on PYTHONPATH")
      }
      return environment
    } catch let error as BenchmarkError {
      // Nothing is promised about peers that are not there.
      if check { throw error }
      print("peers      none: \(error)")
      return nil
    }
  }

  private func finish(_ report: RowReport) throws {
    var sections: [(String, Grid)] = [("ByzKit, milliseconds", report.ownGrid)]
    if !report.peers.isEmpty {
      sections.append(
        ("Others, milliseconds (times ByzKit's, by medians and by minima)", report.peerGrid))
    }
    if report.results.contains(where: { !$0.isPublished }) {
      sections.append(("Beside a yardstick", report.yardstickGrid))
    }
    if !report.training.isEmpty { sections.append(("Training", report.trainingGrid)) }
    sections.append(
      ("What the floors count, in MiB and millions of operations", report.workGrid))
    let verdicts = report.verdicts
    sections.append(("Promises", verdicts.grid))
    for (title, grid) in sections where !grid.lines.isEmpty { print("\n\(title)\n\(grid.text)") }
    if let json { try report.json().write(to: URL(fileURLWithPath: json)) }
    if let markdown {
      let parts = sections.filter { !$0.1.lines.isEmpty }.map { "## \($0.0)\n\n\($0.1.markdown)" }
      let text =
        "# \(Machine.current.processor)\n\n```text\n\(Machine.current.description)\n```\n\n"
        + parts.joined(separator: "\n\n") + "\n"
      try text.write(toFile: markdown, atomically: true, encoding: .utf8)
    }
    if let svg { try report.chart.svg.write(toFile: svg, atomically: true, encoding: .utf8) }
    // A wrong answer is never fast.
    if report.results.contains(where: { $0.wrong != nil }) { throw ExitCode.failure }
    if check, verdicts.contains(where: { $0.isKept == false }) { throw ExitCode.failure }
  }
}

extension DataKind: ExpressibleByArgument {}

extension RowReport {
  mutating func add(_ result: RowResult) {
    results.append(result)
    for name in Self.order where !peers.contains(name) {
      if result.peers[name] != nil || result.notes[name] != nil { peers.append(name) }
    }
    peers.sort { (Self.order.firstIndex(of: $0) ?? 9) < (Self.order.firstIndex(of: $1) ?? 9) }
  }

  mutating func add(_ result: TrainingResult) {
    training.append(result)
    let others = result.peers.sorted { $0.key < $1.key }.map {
      "\($0.key) \(ratio($0.value.median / result.own.median))x"
    }
    print("\(result.row): \(digits(result.own.median)) ms; \(others.joined(separator: ", "))")
  }

  private static let order = [
    "byzpy", "byzpy thread:2", "byzpy process:2", "byzfl", "torch", "numpy", "krum",
  ]
}

extension RowResult {
  /// One line, while the run goes on.
  var line: String {
    let ways = isPublished ? "" : ", \(ratio(yardstickRatio))x its yardstick"
    let others = peers.sorted { $0.key < $1.key }
      .map { "\($0.key) \(ratio($0.value.median / own.median))x" }
    return
      "\(row), \(data.rawValue): \(digits(own.median)) ms, \(ratio(floorRatio))x its floor (\(floor.bound.rawValue))"
      + ways + (others.isEmpty ? "" : "; " + others.joined(separator: ", "))
  }
}

extension Rates {
  var description: String {
    let giga = { (rate: Double) in String(format: "%.1f", rate / 1e9) }
    return
      "10^9/s on one core: \(giga(multiplyAdds)) multiply-adds, \(giga(squaredDifferences)) squared differences, "
      + "\(giga(minMax)) min/max, \(giga(transcendentals)) transcendental"
  }
}

/// A folder of files that are gone when the run is over.
struct Scratch {
  let url: URL

  init(in folder: String = NSTemporaryDirectory()) throws {
    url = URL(fileURLWithPath: folder)
      .appending(path: "byzkit-bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  /// Makes a folder in it for as long as `body` runs.
  func withFolder<R>(_ body: (URL) async throws -> R) async throws -> R {
    let folder = url.appending(path: UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    return try await body(folder)
  }

  func remove() { try? FileManager.default.removeItem(at: url) }
}
