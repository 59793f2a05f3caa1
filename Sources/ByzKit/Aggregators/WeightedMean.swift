/// The average of all vectors, each counted by its number of samples (FedAvg). Not robust.
///
/// ```
/// out = Σᵢ mᵢ xᵢ / Σᵢ mᵢ
/// ```
///
/// - Tolerates: `f = 0`. One weight per vector, finite and not negative, with a positive sum. A vector of weight 0 is ignored,
///   even if it is not finite.
/// - Non-finite: NaN and infinity in a vector of positive weight spread to the result.
/// - Complexity: O(nd) time, O(n) memory beside input and output.
///
/// Source: McMahan et al., *Communication-Efficient Learning of Deep Networks from Decentralized Data*, AISTATS 2017.
public struct WeightedMean: Aggregator {
  /// mᵢ: the weight of vector i, for instance its number of samples.
  public let weights: [Double]

  /// The average with these weights, one for each vector.
  public init(weights: [Double]) { self.weights = weights }

  /// Requires one finite, non-negative weight for each vector, and a positive finite sum.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, .any)
    try require(
      weights.count == n, "weights", "\(weights.count) numbers",
      "one number for each of the \(n) vectors")
    try require(
      weights.allSatisfy { $0.isFinite && $0 >= 0 }, "weights", weights, "finite and not negative")
    let sum = weights.reduce(0, +)
    try require(sum > 0 && sum.isFinite, "weights", weights, "of a positive, finite sum")
  }

  /// The weights, divided by their sum.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    let sum = weights.reduce(0, +)
    return .weightedSum(weights.map { $0 / sum })
  }
}

extension Aggregator where Self == WeightedMean {
  /// ``WeightedMean``.
  public static func weightedMean(_ weights: [Double]) -> Self { WeightedMean(weights: weights) }
}
