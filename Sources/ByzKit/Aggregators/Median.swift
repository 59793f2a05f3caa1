/// The coordinate-wise median.
///
/// ```
/// out_j = median(x_1j, …, x_nj)
/// ```
///
/// - Tolerates: any minority of Byzantine vectors, `2f < n`: each coordinate stays within the range of the honest values.
/// - Non-finite: NaN counts as +∞ and infinities keep their order, so a minority of bad vectors leaves the result finite.
/// - Ties: none; equal values are alike.
/// - Complexity: O(n log² n · d) comparisons in a selection network, O(1) memory beside input and output for n ≤ 64.
///
/// Source: Yin et al., *Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates*, ICML 2018. For even n the
/// mean of the two middle values, as in ByzFL and NumPy; ``Middle/lower`` takes the lower one, as PyTorch and ByzPy do.
public struct Median: Aggregator {
  /// What stands in the middle of an even number of values.
  public enum Middle: String, Codable, Sendable, CaseIterable {
    /// The mean of the two middle values.
    case midpoint
    /// The lower of the two middle values.
    case lower
  }

  /// What stands in the middle of an even number of values.
  public let middle: Middle

  /// The median.
  public init(middle: Middle = .midpoint) { self.middle = middle }

  /// Requires n ≥ 1.
  public func validate(n: Int) throws(AggregationError) { try require(n: n, .any) }

  /// The median of each coordinate.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .median(lower: middle == .lower)
  }
}

extension Aggregator where Self == Median {
  /// ``Median`` with the mean of the two middle values.
  public static var median: Self { Median() }
}
