import ArgumentParser
import ByzKit
import Foundation

/// Times ByzKit beside other libraries and beside what the machine can do, and says which promises it keeps.
@main
enum Program {
  static func main() async {
    // The benchmark is the program that its own worker processes run.
    runWorkerIfRequested(RuntimeSubject.registry)
    // A peer that has ended is an error where it is called, not the end of the run.
    signal(SIGPIPE, SIG_IGN)
    printLineByLine()
    await ByzkitBench.main()
  }
}

struct ByzkitBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "byzkit-bench", abstract: "Time ByzKit.",
    subcommands: [
      TableCommand.self, Growth.self, Mapped.self, Scheduler.self, Smoke.self, Runtime.self,
      RuntimeServer.self,
    ],
    defaultSubcommand: TableCommand.self)
}
