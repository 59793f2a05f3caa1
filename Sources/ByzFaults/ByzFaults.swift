import ArgumentParser
import ByzKit
import ByzRuntime
import Foundation

@main
struct ByzFaults: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "byzkit-faults",
    abstract: "Runs pools and training on real processes and sockets that fail, seed after seed.",
    discussion: """
      In a fifth of the runs, whose seeds end in 3 or 7, the work cannot be done: they must end in
      the error that says so. \
      Ends with status 1 when a promise was broken, after the seed of the run.
      """)

  @Option(help: "How many runs.")
  var runs = 100
  @Option(help: "The seed of the first run; the others follow.")
  var seed: UInt64 = 0
  @Flag(help: "Print the counts as one JSON object.")
  var json = false

  /// How long the work of one run may take.
  static let limit: Duration = .seconds(60)

  static func main() async {
    runWorkerIfRequested(Registry(subtasks: [Errand.self]))
    WorkerProcess.runIfRequested()
    do {
      var command = try parse()
      try await command.run()
    } catch {
      exit(withError: error)
    }
  }

  func validate() throws {
    guard runs >= 1 else {
      throw ValidationError("--runs is \(runs), and must be at least 1.")
    }
    let lastSeed = UInt64.max - UInt64(runs)
    guard seed <= lastSeed else {
      throw ValidationError("--seed is \(seed), and with \(runs) runs must be at most \(lastSeed).")
    }
  }

  private struct Summary: Codable {
    var runs: Int
    var seed: UInt64
    var seconds: Double
    var slowest: Double
    var counts: FaultCounts
    var failures: [String]
  }

  mutating func run() async throws {
    // What a process makes once and keeps: event loops, the alarm's thread, shared memory.
    for warmUp in 0..<3 as Range<UInt64> {
      do {
        _ = try await FaultRun(seed: .max - warmUp, witnesses: Witnesses(), hasAll: true).run()
      } catch {
        if !json { print("warming up: \(error)") }
      }
    }
    let start = ContinuousClock.now
    var summary = Summary(
      runs: 0, seed: seed, seconds: 0, slowest: 0, counts: FaultCounts(), failures: [])
    for number in seed..<seed + UInt64(runs) {
      let began = ContinuousClock.now
      do {
        summary.counts.add(try await once(number))
      } catch {
        summary.failures.append("seed \(number): \(error)")
        if !json { print("seed \(number): \(error)") }
      }
      summary.slowest = max(summary.slowest, (ContinuousClock.now - began) / .seconds(1))
      summary.runs += 1
      if !json, summary.runs.isMultiple(of: 50) {
        print(
          "\(summary.runs) runs, \(summary.counts.losses) losses, \(ContinuousClock.now - start)"
            + "; right bits: \(summary.counts.rightBits), typed errors: \(summary.counts.typedEndings)"
        )
        fflush(nil)
      }
    }
    if !json {
      print(
        """
        right bits: \(summary.counts.rightBits), typed errors: \(summary.counts.typedEndings), \
        failures: \(summary.failures.count)
        """)
    }
    summary.seconds = (ContinuousClock.now - start) / .seconds(1)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    print(String(decoding: try encoder.encode(summary), as: UTF8.self))
    if !summary.failures.isEmpty { throw ExitCode.failure }
  }

  /// One run, whose time is bounded and which leaves nothing behind.
  private func once(_ number: UInt64) async throws -> FaultCounts {
    let witnesses = Witnesses()
    let before = Leftovers.now(witnesses)
    let counts = try await withThrowingTaskGroup(of: FaultCounts?.self) { group in
      group.addTask { try await FaultRun(seed: number, witnesses: witnesses).run() }
      group.addTask {
        try await Task.sleep(for: Self.limit)
        // Nothing can be waited for any more.
        print("seed \(number): the run had not ended after \(Self.limit).")
        Foundation.exit(1)
      }
      defer { group.cancelAll() }
      return try await group.next()!!
    }
    let after = await Leftovers.settle(to: before, witnesses)
    guard after.isWithin(before) else {
      throw FaultFailure(
        "Left behind: before \(before); after \(after): \(Leftovers.childStates())")
    }
    return counts
  }
}
