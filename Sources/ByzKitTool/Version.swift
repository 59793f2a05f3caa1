import ArgumentParser
import ByzLaunch

struct Version: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Print the version.")

  func run() throws { try printOut("byzkit \(toolVersion)") }
}
