import ArgumentParser
import ByzKit

/// Times ByzKit beside its yardsticks, and says which limits it keeps.
@main
enum Program {
  static func main() async {
    // The benchmark is the program that its own worker processes run.
    runWorkerIfRequested(RuntimeSubject.registry)
    await ByzkitBench.main()
  }
}

struct ByzkitBench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "byzkit-bench", abstract: "Time ByzKit.",
    subcommands: [Rules.self, Runtime.self, RuntimeServer.self], defaultSubcommand: Rules.self)
}
