/// The average of all vectors. Not robust: one Byzantine vector moves it anywhere.
///
/// ```
/// out = (1/n) Σᵢ xᵢ
/// ```
///
/// - Tolerates: `f = 0`; any `n ≥ 1`.
/// - Non-finite: NaN and infinity spread to the result, as IEEE arithmetic has it.
/// - Complexity: O(nd) time, O(n) memory beside input and output.
///
/// Source: McMahan et al., *Communication-Efficient Learning of Deep Networks from Decentralized Data*, AISTATS 2017.
public struct Mean: Aggregator {
  /// The average.
  public init() {}

  /// Requires n ≥ 1.
  public func validate(n: Int) throws(AggregationError) { try require(n: n, .any) }

  /// Equal weights.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .mean(of: Array(0..<geometry.n), n: geometry.n)
  }
}

extension Aggregator where Self == Mean {
  /// ``Mean``.
  public static var mean: Self { Mean() }
}
