import ArgumentParser
import ByzConformance
import ByzKit
import ByzLaunch

struct ConformanceCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "conformance",
    abstract: "Run golden cases and say which are not met.",
    discussion: """
      Runs cases.json, invalid.json and statistical.json of a directory, by direct calls and on a pool of threads. Prints a \
      line for each case that is not met, and the counts. The exit code is 1 if there was one.
      """)

  @Argument(help: "The directory, such as Tests/Conformance.") var directory: String

  func run() async throws {
    let conformance = try Conformance(directory: directory)
    let report = try await withActorPool(.threads(4)) { try await conformance.run(on: $0) }
    for failure in report.failures { try printOut("\(failure)") }
    try printOut("\(report.passed) passed, \(report.failures.count) failed")
    if !report.failures.isEmpty { throw ExitCode.failure }
  }
}
