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
    let distances = finite.map { i in finite.map { geometry.squaredDistance(i, $0) } }
    // The farthest neighbour among the nearest `keep` bounds the diameter from below, so the bisection starts there.
    let lowerBound = distances.map { $0.sorted()[keep - 1] }.min() ?? 0
    var levels = Set<Double>()
    for (i, row) in distances.enumerated() {
      for d in row[i...] where d >= lowerBound { levels.insert(d) }
    }
    let thresholds = levels.sorted()
    var search = ConflictSearch(budget: finite.count - keep, limit: searchLimit)
    var (low, high) = (0, thresholds.count - 1)
    do {
      while low < high {
        let middle = (low + high) / 2
        search.conflicts = ConflictGraph(distances, farther: thresholds[middle])
        if try search.isCoverable() { high = middle } else { low = middle + 1 }
      }
      search.conflicts = ConflictGraph(distances, farther: thresholds[low])
      let chosen = try search.firstIndependentSet(count: keep)
      return .mean(of: chosen.map { finite[$0] }, n: geometry.n)
    } catch {
      throw .searchLimitExceeded(rule: name, limit: searchLimit)
    }
  }
}

extension Aggregator where Self == MDA {
  /// ``MDA``.
  public static func mda(f: Int) -> Self { MDA(f: f) }
}
