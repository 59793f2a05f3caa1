/// The coordinate-wise mean of the n - f values nearest to the median (MeaMed).
///
/// ```
/// out_j = (1/(n - f)) Σ_{i ∈ Nⱼ} x_ij        Nⱼ: the n - f rows of smallest |x_ij - median_j|
/// ```
///
/// - Tolerates: `0 ≤ 2f < n`.
/// - Ties: equal distances, compared in double precision, go to the lowest index. The median of even n is the mean of the two middle values.
/// - Non-finite: a NaN or infinite value is infinitely far from the median; with more than f of them in a coordinate
///   the result is not finite there.
/// - Complexity: O(n log² n · d) comparisons, O(1) memory beside input and output for n ≤ 64.
///
/// Source: Xie, Koyejo, Gupta, *Generalized Byzantine-tolerant SGD*, 2018. ByzPy calls it mean of medians and takes the lower
/// median; it also allows 2f ≥ n.
public struct MeanAroundMedian: Aggregator {
  /// The number of values dropped.
  public let f: Int

  /// Drops the f values farthest from the median.
  public init(f: Int) { self.f = f }

  /// Requires 0 ≤ 2f < n.
  public func validate(n: Int) throws(AggregationError) { try require(n: n, f: f, .minority) }

  /// The mean around the median of each coordinate.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .meanAroundMedian(f: f, of: Array(0..<geometry.n))
  }
}

extension Aggregator where Self == MeanAroundMedian {
  /// ``MeanAroundMedian``.
  public static func meanAroundMedian(f: Int) -> Self { MeanAroundMedian(f: f) }
}
