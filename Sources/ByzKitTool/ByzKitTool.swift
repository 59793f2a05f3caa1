import ArgumentParser
import ByzKit
import ByzLaunch
import Foundation

/// The command line of ByzKit.
struct ByzKitTool: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "byzkit",
    abstract: "Byzantine-robust aggregation of vectors in .npy files.",
    version: "byzkit \(toolVersion)",
    subcommands: [
      Version.self, Doctor.self, List.self, Aggregate.self, AttackCommand.self,
      ConformanceCommand.self, WorkerCommand.self,
    ])
}

/// The version of this package.
let toolVersion = "0.1.0"

@main
enum Main {
  static func main() async {
    // Pools of processes run this program again.
    runWorkerIfRequested()
    Interruption.prepare()
    let command: any ParsableCommand
    do {
      command = try ByzKitTool.parseAsRoot()
    } catch {
      ByzKitTool.exit(withError: error)
    }
    do {
      try KernelVariant.checkEnvironment()
      try await run(command)
    } catch let error as ExitCode {
      ByzKitTool.exit(withError: error)
    } catch let error where ByzKitTool.exitCode(for: error) != .failure {
      // Requests for help, and usage that only the command could judge.
      ByzKitTool.exit(withError: error)
    } catch {
      let line = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
      try? FileHandle.standardError.write(contentsOf: Data("byzkit: \(line)\n".utf8))
      ByzKitTool.exit(withError: ExitCode.failure)
    }
  }

  private static func run(_ command: any ParsableCommand) async throws {
    var command = command
    if var command = command as? any AsyncParsableCommand {
      try await command.run()
    } else {
      try command.run()
    }
  }
}

/// What a command says before it ends with exit code 1.
struct Failure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// How a command prints what it found.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case text
  case json
}

/// Prints a value as JSON.
func printJSON(_ value: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  try printOut(String(decoding: try encoder.encode(value), as: UTF8.self))
}
