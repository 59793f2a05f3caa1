import ArgumentParser
import ByzKit
import ByzLaunch

struct List: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List aggregators, attacks, pre-aggregators, models or backends.")

  enum Kind: String, ExpressibleByArgument, CaseIterable {
    case aggregators
    case attacks
    case preAggregators = "pre-aggregators"
    case models
    case backends
  }

  @Argument(help: "What to list.") var kind: Kind
  @Option(help: "How to print it.") var format: OutputFormat = .text

  func run() throws {
    let entries: [ListEntry] =
      switch kind {
      case .aggregators: Catalog.aggregators.map(ListEntry.init)
      case .attacks: Catalog.attacks.map(ListEntry.init)
      case .preAggregators: Catalog.preAggregators.map(ListEntry.init)
      case .models: try ListEntry.models()
      case .backends: ListEntry.backends
      }
    switch format {
    case .json: try printJSON(entries)
    case .text: for entry in entries { try printOut(entry.text) }
    }
  }
}
