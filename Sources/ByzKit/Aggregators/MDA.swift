/// Minimum-diameter averaging: the mean of the n - f vectors whose largest pairwise distance is smallest.
///
/// ```
/// out = (1/(n - f)) Σ_{i ∈ S} xᵢ        S = argmin_{|S| = n - f} max_{i, k ∈ S} ‖xᵢ - xₖ‖
/// ```
///
/// The search is exact. It bisects the distances; a threshold is reachable exactly when the graph of pairs farther apart
/// has a vertex cover of at most f vectors, which branch and bound decides.
///
/// - Tolerates: `0 ≤ 2f < n`.
/// - Ties: of several sets with the smallest diameter the lexicographically smallest.
/// - Non-finite: a vector with NaN or infinity is infinitely far from all others; more than f of them are refused.
/// - Complexity: O(n²d) for the distances; the search is exponential in f at worst, some thousand steps on Gaussian data at
///   n = 100, and ends at ``searchLimit``; O(n²) memory beside the input.
///
/// Source: Rousseeuw, 1985; El Mhamdi et al., *The Hidden Vulnerability of Distributed Learning in Byzantium*, ICML 2018.
public struct MDA: Aggregator {
  /// The number of Byzantine vectors to tolerate.
  public let f: Int
  /// The number of search steps after which it gives up.
  public let searchLimit: Int

  /// Tolerates f Byzantine vectors; gives up with a typed error after `searchLimit` steps, a second or two at the default.
  public init(f: Int, searchLimit: Int = 1_000_000) {
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

  /// Equal weights for the set of smallest diameter.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    let finite = try geometry.finiteIndices(discardingAtMost: f)
    let keep = geometry.n - f
    let distances = geometry.squaredDistances(among: finite)
    var search = ConflictSearch(
      count: finite.count, budget: finite.count - keep, limit: searchLimit)
    do throws(SearchStop) {
      // Bisects the distances: the set's diameter is one of them, or 0 for a single vector.
      var candidates = [0.0]
      for i in finite.indices {
        candidates += distances[(i * finite.count)..<(i * finite.count + i)]
      }
      var diameter = candidates.max() ?? 0
      while !candidates.isEmpty {
        let middle = candidates.value(ofRank: (candidates.count - 1) / 2)
        if try search.isCoverable(distances, farther: middle) {
          diameter = middle
          candidates.removeAll { $0 >= middle }
        } else {
          candidates.removeAll { $0 <= middle }
        }
      }
      let chosen = try search.firstIndependentSet(count: keep, distances, farther: diameter)
      return .mean(of: chosen.map { finite[$0] }, n: geometry.n)
    } catch {
      throw AggregationError(error, rule: name, limit: searchLimit)
    }
  }
}

extension Aggregator where Self == MDA {
  /// ``MDA``.
  public static func mda(f: Int) -> Self { MDA(f: f) }
}
