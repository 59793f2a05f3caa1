import ArgumentParser
import ByzKit

struct Aggregate: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Aggregate n vectors into one.",
    discussion: """
      The vectors are the rows of one file of shape (n, …), or n files of one shape, in single or double precision. Files may \
      be larger than memory. See 'byzkit list aggregators' for the rules and their parameters.

        byzkit aggregate krum --f 2 gradients.npy -o aggregate.npy
        byzkit aggregate trimmedMean --f 2 --pre-aggregator nnm --pre-aggregator bucketing:size=2 node-*.npy -o out.npy
      """)

  @Argument(help: "The rule, with or without parameters: krum, multiKrum:f=2,q=5.") var rule: String
  @Argument(help: "The .npy files; - for standard input.") var inputs: [String]
  @Option(name: .shortAndLong, help: "The .npy file to write.") var output: String
  @Option(
    name: .customLong("pre-aggregator"),
    help: "A rule to run first, with or without parameters; may be repeated.")
  var preAggregators: [String] = []
  @OptionGroup(title: "Parameters") var options: RuleOptions

  func run() async throws {
    let chain = try makeChain()
    try await chain.run(on: InputVectors(inputs, output: output), writing: output)
  }

  private func makeChain() throws -> RuleChain {
    var given = options.given
    var parameters: [ParameterInfo] = []
    let first = try preAggregators.map { text in
      let specification = try RuleSpecification(text)
      let entry = try Catalog.preAggregator(specification.name)
      parameters += entry.parameters
      return try given.make(entry, specification)
    }
    let specification = try RuleSpecification(rule)
    let entry = try Catalog.aggregator(named: specification.name)
    parameters += entry.parameters
    let last = try given.make(entry, specification)
    let names = (preAggregators + [rule]).joined(separator: "+")
    try given.requireAllUsed(by: names, parameters: parameters)
    return RuleChain(preAggregators: first, last: last)
  }
}

extension Catalog {
  /// As ``aggregator(_:)``, with a hint for those that do not make one vector.
  fileprivate static func aggregator(named name: String) throws -> CatalogEntry<any Aggregator> {
    do {
      return try aggregator(name)
    } catch {
      guard let other = try? preAggregator(name) else { throw error }
      throw Failure(
        "\(other.name) makes several vectors: put '--pre-aggregator \(other.name)' before an aggregator."
      )
    }
  }
}
