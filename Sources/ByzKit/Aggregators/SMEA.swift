/// Smallest-maximum-eigenvalue averaging: the mean of the n - f vectors whose covariance has the smallest top eigenvalue.
///
/// ```
/// out = (1/m) Σ_{i ∈ S} xᵢ        S = argmin_{|S| = m} λ_max( (1/m) Σ_{i ∈ S} (xᵢ - μ_S)(xᵢ - μ_S)ᵀ ),   m = n - f
/// ```
///
/// The search is exact: adding a vector can only raise the top eigenvalue of the scatter, so branch and bound prunes a
/// partial set as soon as its own exceeds the best one found.
///
/// - Tolerates: `0 ≤ 2f < n`.
/// - Ties: eigenvalues within 1e-12 of each other, relatively, are equal; the lexicographically smallest set wins.
/// - Non-finite: a vector with NaN or infinity is infinitely far from all others; more than f of them are refused.
/// - Complexity: O(n²d) for the distances; the search is exponential at worst, some hundred steps on Gaussian data at n = 16
///   and a hundred thousand at n = 28, and ends at ``searchLimit``; O(n²) memory beside the input.
///
/// Source: Allouah et al., *Fixing by Mixing: A Recipe for Optimal Byzantine ML under Heterogeneity*, AISTATS 2023. ByzFL
/// estimates the eigenvalues by one power step from a random vector.
public struct SMEA: Aggregator {
  /// The number of Byzantine vectors to tolerate.
  public let f: Int
  /// The number of search steps after which it gives up.
  public let searchLimit: Int

  /// Tolerates f Byzantine vectors; gives up with a typed error after `searchLimit` steps, a few seconds at the default.
  public init(f: Int, searchLimit: Int = 5_000_000) {
    self.f = f
    self.searchLimit = searchLimit
  }

  /// Requires 0 ≤ 2f < n and a positive search limit.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, f: f, .minority)
    try require(searchLimit > 0, "searchLimit", searchLimit, "positive")
  }

  /// All distances.
  public var measurement: Measurement? { .distances }

  /// Equal weights for the set of smallest scatter.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    let finite = try geometry.finiteIndices(discardingAtMost: f)
    var search = ScatterSearch(
      geometry.squaredDistances(among: finite), count: finite.count, keep: geometry.n - f,
      limit: searchLimit)
    do throws(SearchStop) {
      return .mean(of: try search.run().map { finite[$0] }, n: geometry.n)
    } catch {
      throw AggregationError(error, rule: name, limit: searchLimit)
    }
  }
}

extension Aggregator where Self == SMEA {
  /// ``SMEA``.
  public static func smea(f: Int) -> Self { SMEA(f: f) }
}
