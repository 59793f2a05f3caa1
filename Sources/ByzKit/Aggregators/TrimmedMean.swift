/// The coordinate-wise trimmed mean: drops the f smallest and f largest values, averages the rest.
///
/// ```
/// out_j = (1/(n - 2f)) Σ_{k=f+1}^{n-f} x_(k)j        x_(1)j ≤ … ≤ x_(n)j
/// ```
///
/// - Tolerates: `0 ≤ 2f < n`; each coordinate stays within the range of the honest values.
/// - Non-finite: NaN counts as +∞ and infinities keep their order, so up to f bad vectors leave the result finite.
/// - Complexity: O(n log² n · d) comparisons in a sorting network, O(1) memory beside input and output for n ≤ 64.
///
/// Source: Yin et al., *Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates*, ICML 2018.
public struct TrimmedMean: Aggregator {
  private enum Trim: Hashable, Sendable {
    case count(Int)
    case ratio(Double)
  }

  private let trim: Trim

  /// Drops `f` values at each end.
  public init(f: Int) { trim = .count(f) }

  /// Drops `⌊ratio·n⌋` values at each end, `0 ≤ ratio < 0.5`.
  public init(ratio: Double) { trim = .ratio(ratio) }

  /// The values dropped at each end, of `n`. The ratio has been checked.
  private func f(n: Int) -> Int {
    switch trim {
    case .count(let f): f
    // A ratio such as 0.29 is a little less than written; without the margin 29 of 100 would become 28. It must not lift
    // a ratio just below a half to the whole.
    case .ratio(let ratio): min((n - 1) / 2, Int(ratio * Double(n) * (1 + 4 * .ulpOfOne)))
    }
  }

  /// Requires 0 ≤ 2f < n, or 0 ≤ ratio < 0.5.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, .any)
    if case .ratio(let ratio) = trim {
      try require(ratio >= 0 && ratio < 0.5, "ratio", ratio, "at least 0 and below 0.5")
    }
    try require(n: n, f: f(n: n), .minority)
  }

  /// The mean of each coordinate's middle values.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .trimmedMean(f: f(n: geometry.n))
  }
}

extension Aggregator where Self == TrimmedMean {
  /// ``TrimmedMean`` that drops f values at each end.
  public static func trimmedMean(f: Int) -> Self { TrimmedMean(f: f) }
}
