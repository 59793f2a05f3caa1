/// Something that makes vectors out of n vectors: the common part of aggregators, pre-aggregators and the attacks that see all
/// honest gradients.
///
/// A rule is a value holding its parameters. It measures its input in one pass, decides from those few numbers, and says how
/// to combine the columns. ByzKit does the rest: the same definition runs in a direct call, on a pool and in a graph, with the
/// same bits.
public protocol Rule: Operator {
  /// Checks that the rule works for `n` vectors with its parameters.
  ///
  /// Called before anything is measured, with the number of vectors that were passed in.
  ///
  /// - Throws: ``AggregationError/illegalCount(rule:n:f:bound:)`` when n is too small,
  ///   ``AggregationError/invalidParameter(rule:name:value:requirement:)`` when a parameter is out of range.
  func validate(n: Int) throws(AggregationError)

  /// What to measure before deciding; nil, the default, for a rule that treats each coordinate alike.
  var measurement: Measurement? { get }

  /// One more vector to measure beside the n: the last one in the geometry. None by default.
  var extraVector: ExtraVector? { get }

  /// The rule as it is in one round of training: rules that draw at random draw anew. By default the rule itself.
  func forRound(_ round: Int) -> Self

  /// Decides how to combine the vectors.
  ///
  /// - Throws: ``AggregationError`` when the vectors cannot be aggregated safely, for instance because too many are not finite.
  func decide(_ geometry: Geometry) throws(AggregationError) -> Combination
}

extension Rule {
  /// Nothing to measure.
  public var measurement: Measurement? { nil }
  /// The same in every round.
  public func forRound(_ round: Int) -> Self { self }
  /// No extra vector.
  public var extraVector: ExtraVector? { nil }
  /// What a rule reads as a step of a graph: `vectors`.
  public var inputNames: [String] { ["vectors"] }
}

/// A vector that a rule measures beside its input.
public enum ExtraVector: Sendable {
  /// The zero vector: only for `Measurement/centredGram` and ``Combination/weightedSum(_:)``.
  case zero
  /// A given vector of as many numbers as the input's.
  case vector(AnyTensor)
}

/// A rule that makes one vector out of n, to tolerate f Byzantine ones among them.
///
/// Rules that run before it are not a part of it: see ``Pipeline``.
public protocol Aggregator: Rule {}

extension Aggregator {
  /// The rules that run first, in order.
  var preAggregators: [any PreAggregator] { (self as? Pipeline)?.preAggregators ?? [] }
}

/// A rule that makes vectors for another rule out of n vectors.
public protocol PreAggregator: Rule {
  /// How many vectors come out of `n`.
  func outputCount(n: Int) -> Int

  /// Whether what becomes of a vector depends on its own numbers alone, not on its place, on other vectors or on an extra one: then
  /// each is changed while it is in the caches from being measured. Not so by default.
  var treatsEachVectorAlone: Bool { get }
}

extension PreAggregator {
  /// The decision needs all vectors.
  public var treatsEachVectorAlone: Bool { false }

  /// As many as go in.
  public func outputCount(n: Int) -> Int { n }
}
