/// An aggregator with pre-aggregators in front of it, any number deep.
///
/// ```swift
/// let rule = NearestNeighborMixing(f: 2).then(Bucketing(size: 2, key: key)).then(TrimmedMean(f: 2))
/// ```
public struct Pipeline: Aggregator {
  /// The rules that run first, in order.
  public let preAggregators: [any PreAggregator]
  /// The rule that runs last.
  public let aggregator: any Aggregator

  /// The rules in the order in which they run. An aggregator that is a pipeline itself is joined on.
  public init(_ preAggregators: [any PreAggregator], then aggregator: any Aggregator) {
    if let inner = aggregator as? Pipeline {
      self.preAggregators = preAggregators + inner.preAggregators
      self.aggregator = inner.aggregator
    } else {
      self.preAggregators = preAggregators
      self.aggregator = aggregator
    }
  }

  /// The names of the rules, in order.
  public var name: String {
    (preAggregators.map(\.name) + [aggregator.name]).joined(separator: "+")
  }

  /// Checks every rule for the number of vectors that reaches it.
  public func validate(n: Int) throws(AggregationError) {
    var n = n
    for rule in preAggregators {
      try rule.validate(n: n)
      n = rule.outputCount(n: n)
    }
    try aggregator.validate(n: n)
  }

  /// What the last rule measures.
  public var measurement: Measurement? { aggregator.measurement }
  /// The last rule's.
  public var extraVector: ExtraVector? { aggregator.extraVector }

  /// Every rule as it is in this round.
  public func forRound(_ round: Int) -> Pipeline {
    Pipeline(preAggregators.map { $0.forRound(round) }, then: aggregator.forRound(round))
  }

  /// Decides as the last rule does.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    try aggregator.decide(geometry)
  }
}

extension PreAggregator {
  /// This rule, and then an aggregator on what it makes.
  public func then(_ aggregator: any Aggregator) -> Pipeline { Pipeline([self], then: aggregator) }

  /// This rule, and then another pre-aggregator.
  public func then(_ next: any PreAggregator) -> PreAggregators { PreAggregators([self, next]) }
}

/// Pre-aggregators that wait for an aggregator: what ``PreAggregator/then(_:)->PreAggregators`` returns.
public struct PreAggregators: Sendable {
  /// The rules in the order in which they run.
  public let rules: [any PreAggregator]

  /// The rules in the order in which they run.
  public init(_ rules: [any PreAggregator]) { self.rules = rules }

  /// These rules, and then an aggregator.
  public func then(_ aggregator: any Aggregator) -> Pipeline { Pipeline(rules, then: aggregator) }

  /// These rules, and then another pre-aggregator.
  public func then(_ next: any PreAggregator) -> PreAggregators { PreAggregators(rules + [next]) }
}
