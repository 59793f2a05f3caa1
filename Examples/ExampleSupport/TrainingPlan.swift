internal import ArgumentParser
package import ByzKit

/// A training run as flags describe it, before any data is read.
package struct TrainingPlan: Sendable {
  package var honest = 4
  package var byzantine = 1
  package var rounds = 200
  package var batchSize = 64
  package var learningRate = 0.05
  package var momentum: Float = 0.9
  package var weightDecay: Float = 0
  package var model = ModelName.cnn
  package var aggregator = "median"
  package var preAggregators: [String] = []
  package var attack = "empire"
  package var attackScale: Double?
  package var f: Int?
  package var q: Int?
  /// Whether the program makes use of `f` itself, whatever the rules do.
  package var usesF = false
  package var seed: UInt64 = 0
  package var partition = PartitionName.iid
  package var dataRoot: String?
  /// Rounds from one test to the next; 0 for a test at the end only.
  package var evalInterval = 50

  package init() {}

  /// The liars that the rules are told to tolerate.
  package var tolerated: Int { f ?? byzantine }

  /// Checks the numbers, before anything is read or started; `names` are those of the flags that
  /// differ.
  package func validate(names: [String: String] = [:]) throws {
    func require(_ isLegal: Bool, _ name: String, _ value: Any, _ bound: String) throws {
      guard isLegal else {
        throw ValidationError("--\(names[name] ?? name) is \(value), but must be \(bound).")
      }
    }
    try require(1...4096 ~= honest, "honest", honest, "in 1...4096")
    try require(0...4096 ~= byzantine, "byzantine", byzantine, "in 0...4096")
    try require(rounds >= 1, "rounds", rounds, "at least 1")
    try require(batchSize >= 1, "batch-size", batchSize, "at least 1")
    try require(evalInterval >= 0, "eval-interval", evalInterval, "at least 0")
    try require(tolerated >= 0, "f", tolerated, "at least 0")
  }
}

// MARK: - Rules and attacks

extension TrainingPlan {
  /// The rule, with its pre-aggregators.
  ///
  /// - Throws: `UsageError` for a number of liars that nobody asks for.
  package func makeAggregator() throws -> any Aggregator {
    try requireUseOfF()
    let rule = try make(aggregatorInFull, flag: "aggregator", from: Catalog.aggregator(_:))
    guard !preAggregators.isEmpty else { return rule }
    let before = try preAggregatorsInFull.map {
      try make($0, flag: "pre-aggregator", from: Catalog.preAggregator(_:))
    }
    return Pipeline(before, then: rule)
  }

  /// What the liars do.
  package func makeAttack() throws -> any Attack {
    try make(attackInFull, flag: "attack", from: Catalog.attack(_:))
  }

  /// The rule with all its parameters.
  var aggregatorInFull: RuleSpecification {
    get throws {
      let completed = try completeAggregator()
      guard q == nil || completed.taken.contains("q") else {
        throw Self.ignored("--q", by: "--aggregator \(aggregator)")
      }
      return completed.specification
    }
  }

  /// What runs before the rule, with all parameters.
  var preAggregatorsInFull: [RuleSpecification] {
    get throws { try completePreAggregators().map(\.specification) }
  }

  /// The attack with all its parameters.
  var attackInFull: RuleSpecification {
    get throws {
      let completed = try complete(attack, from: Catalog.attack(_:), defaults: attackDefaults)
      guard attackScale == nil || !completed.taken.isDisjoint(with: Self.strengths) else {
        throw Self.ignored("--attack-scale", by: "--attack \(attack)")
      }
      return completed.specification
    }
  }

  /// What the strength of an attack may be called.
  private static let strengths = ["scale", "tau", "gamma", "sigma"]

  private func completeAggregator() throws -> Completed {
    try complete(aggregator, from: Catalog.aggregator(_:)) { entry in
      let names = entry.parameters.map(\.name)
      guard q == nil || names.contains("q") else {
        throw CatalogError.unknownParameter("q", of: entry.name, known: names)
      }
      return [("f", .integer(tolerated)), ("q", .integer(q ?? honest + byzantine - tolerated))]
    }
  }

  private func completePreAggregators() throws -> [Completed] {
    try preAggregators.map { text in
      try complete(text, from: Catalog.preAggregator(_:)) { _ in
        [("f", .integer(tolerated)), ("seed", .integer(Int(truncatingIfNeeded: seed)))]
      }
    }
  }

  /// Refuses an `f` that was given and that nobody takes.
  private func requireUseOfF() throws {
    guard f != nil, !usesF else { return }
    let rules = try completePreAggregators() + [completeAggregator()]
    guard !rules.contains(where: { $0.taken.contains("f") }) else { return }
    throw UsageError(
      "--f would be ignored: no rule of this run has an f that is left to set. Leave --f out.")
  }

  private static func ignored(_ flag: String, by rule: String) -> UsageError {
    UsageError("\(flag) would be ignored: \(rule) says it already. Say it in one place only.")
  }

  private func attackDefaults(
    _ entry: CatalogEntry<any Attack>
  ) throws -> [(String, ParameterValue)] {
    var defaults: [(String, ParameterValue)] = [("f", .integer(byzantine))]
    let names = entry.parameters.map(\.name)
    if let attackScale {
      guard let strength = names.first(where: Self.strengths.contains) else {
        throw CatalogError.unknownParameter("attack-scale", of: entry.name, known: names)
      }
      defaults.append((strength, .number(attackScale)))
    } else if entry.name == "empire" {
      defaults.append(("scale", .number(-10)))
    }
    return defaults
  }

  private func complete<Product>(
    _ text: String, from find: (String) throws -> CatalogEntry<Product>,
    defaults: (CatalogEntry<Product>) throws -> [(String, ParameterValue)]
  ) throws -> Completed {
    var specification = try RuleSpecification(text)
    let entry = try find(specification.name)
    let taken = specification.setDefaults(
      Dictionary(try defaults(entry)) { first, _ in first }, for: entry)
    return Completed(specification: specification, taken: taken)
  }

  private func make<Product>(
    _ specification: RuleSpecification, flag: String,
    from find: (String) throws -> CatalogEntry<Product>
  ) throws -> Product {
    let entry = try find(specification.name)
    do {
      return try entry.make(specification.parameters)
    } catch {
      guard case .missingParameter(let name) = error else { throw error }
      throw UsageError(
        "--\(flag) \(entry.name) needs \(name): write --\(flag) \(entry.name):\(name)=… with a "
          + "value that is \(entry.parameters.first { $0.name == name }?.range ?? "in its range").")
    }
  }
}

/// A rule or attack with all its parameters.
private struct Completed {
  let specification: RuleSpecification
  /// Those that flags and defaults gave it.
  let taken: Set<String>
}

// MARK: - Names

/// A model to train.
package enum ModelName: String, CaseIterable, Sendable {
  case cnn, mlp, softmax

  func make(for data: Dataset) throws -> any Model {
    let inputs = data.rows * data.columns
    return switch self {
    case .cnn: ConvolutionalNetwork()
    case .mlp: try MultilayerPerceptron(inputs: inputs, hidden: [128], classes: data.classes)
    case .softmax: try SoftmaxRegression(inputs: inputs, classes: data.classes)
    }
  }
}

/// How images are dealt to the nodes.
package enum PartitionName: String, CaseIterable, Sendable {
  case iid, shards, dirichlet

  /// Two shards for each node; a Dirichlet draw with α = 0.5.
  var rule: Partition {
    switch self {
    case .iid: .iid
    case .shards: .shards(perNode: 2)
    case .dirichlet: .dirichlet(alpha: 0.5)
    }
  }
}
