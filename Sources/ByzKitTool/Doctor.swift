import ArgumentParser
import ByzKit

struct Doctor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Say what this machine has, what ByzKit uses of it, and what is missing.")

  @Option(help: "How to print it.") var format: OutputFormat = .text

  func run() throws {
    let diagnosis = Diagnosis()
    switch format {
    case .json: try printJSON(diagnosis)
    case .text: print(diagnosis.text)
    }
  }
}
