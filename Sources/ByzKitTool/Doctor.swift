import ArgumentParser
import ByzKit
import ByzLaunch

struct Doctor: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what this machine has, what ByzKit uses of it, and what is missing.")

  @Option(help: "How to print it.") var format: OutputFormat = .text

  func run() async throws {
    let diagnosis = Diagnosis(backends: await BackendProbe.all())
    switch format {
    case .json: try printJSON(diagnosis)
    case .text: try printOut(diagnosis.text)
    }
  }
}
