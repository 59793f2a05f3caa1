import ByzKit

/// An operator of a case, ready to run directly and on a pool.
enum ConformanceOperation {
  case aggregator(any Aggregator)
  case preAggregator(any PreAggregator)
  case omniscient(any OmniscientAttack)
  case ownGradient(any OwnGradientAttack)
  case model(any ModelAttack)
  /// Labels in one column.
  case labels(LabelFlip, classes: Int?)
  /// Logits in rows.
  case logits(LabelFlip, labels: [Int])

  init(_ name: String, _ values: [String: ParameterValue]) throws {
    var values = values
    if let entry = Catalog.aggregators.first(where: { $0.name == name }) {
      self = .aggregator(try entry.make(Parameters(values)))
    } else if let entry = Catalog.preAggregators.first(where: { $0.name == name }) {
      self = .preAggregator(try entry.make(Parameters(values)))
    } else if name == "labelFlipLogits" {
      let labels = try Parameters(values).integers("labels") ?? []
      values["labels"] = nil
      guard let flip = try Catalog.attack("labelFlip").make(Parameters(values)) as? LabelFlip else {
        throw Unsupported(name: name)
      }
      self = .logits(flip, labels: labels)
    } else {
      let classes = values.removeValue(forKey: "num_classes")
      switch try Catalog.attack(name).make(Parameters(values)) {
      case let attack as any OmniscientAttack: self = .omniscient(attack)
      case let attack as any OwnGradientAttack: self = .ownGradient(attack)
      case let attack as any ModelAttack: self = .model(attack)
      case let attack as LabelFlip:
        self = .labels(
          attack,
          classes: try classes.map { try Parameters(["num_classes": $0]).integer("num_classes") })
      default: throw Unsupported(name: name)
      }
    }
  }

  /// An operator whose answer is not fixed by its input.
  struct Unsupported: Error, CustomStringConvertible {
    let name: String
    var description: String { "\(name) has no golden answers." }
  }

  /// The direct call.
  func run<Element>(_ rows: [Tensor<Element>]) throws -> Tensor<Element> {
    switch self {
    case .aggregator(let rule): return try rule.aggregate(rows)
    case .preAggregator(let rule): return try Tensor(stacking: rule.preAggregate(rows))
    case .omniscient(let attack): return try attack.craft(honest: rows)
    case .ownGradient(let attack):
      try attack.validate(n: rows.count)
      return try attack.craft(own: rows[0])
    case .model(let attack):
      try attack.validate(n: rows.count)
      return try attack.craft(global: rows[0], target: rows[1])
    case .labels(let attack, let classes):
      // A label each: whatever else the file says is no case that can be run.
      guard rows.allSatisfy({ $0.shape == [1] }) else { throw AggregationError.noVectors }
      return try attack.poison(labels: Tensor(rows.map { $0[0] }), classes: classes)
    case .logits(let attack, let labels):
      return try attack.gradient(logits: Tensor(stacking: rows), labels: labels)
    }
  }

  /// The same on a pool; nil for what is not divided.
  func run<Element>(
    _ rows: [Tensor<Element>], on pool: ActorPool, chunkSize: Int?
  ) async throws -> Tensor<Element>? {
    let context = OperatorContext(nodeName: "conformance", pool: pool, chunkSize: chunkSize)
    switch self {
    case .aggregator(let rule):
      return try await rule.aggregate(rows, on: pool, chunkSize: chunkSize)
    case .preAggregator(let rule):
      return try await Tensor(stacking: rule.preAggregate(rows, on: pool, chunkSize: chunkSize))
    case .omniscient(let attack):
      return try await attack.craft(honest: rows, on: pool, chunkSize: chunkSize)
    case .ownGradient(let attack):
      try attack.validate(n: rows.count)
      return try await attack.run(OperatorInputs(["gradient": rows[0]]), in: context)
        as? Tensor<Element>
    case .model(let attack):
      try attack.validate(n: rows.count)
      let inputs = OperatorInputs(["global": rows[0], "target": rows[1]])
      return try await attack.run(inputs, in: context) as? Tensor<Element>
    case .labels, .logits: return nil
    }
  }
}
