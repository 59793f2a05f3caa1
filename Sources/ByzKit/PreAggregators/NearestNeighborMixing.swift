/// Nearest-neighbour mixing (NNM): replaces every vector by the mean of the n - f nearest to it, itself included.
///
/// ```
/// yᵢ = (1/(n - f)) Σ_{k ∈ N(i)} xₖ        N(i): the n - f vectors of smallest ‖xᵢ - xₖ‖
/// ```
///
/// - Tolerates: `0 ≤ f < n`.
/// - Ties: equal distances go to the lowest index.
/// - Non-finite: a vector with NaN or infinity is infinitely far from all others and comes out as NaN; the others do not mix it in.
///   More than f of them are refused.
/// - Complexity: O(n²d) for the distances and O(n(n - f)d) for the means, far fewer when most neighbours are shared; n vectors
///   out, O(n²) memory beside them.
///
/// Source: Allouah et al., *Fixing by Mixing: A Recipe for Optimal Byzantine ML under Heterogeneity*, AISTATS 2023.
public struct NearestNeighborMixing: PreAggregator {
  /// The number of Byzantine vectors to tolerate.
  public let f: Int

  /// Mixes each vector with its n - f nearest.
  public init(f: Int) { self.f = f }

  /// Requires 0 ≤ f < n.
  public func validate(n: Int) throws(AggregationError) { try require(n: n, f: f, .fewerThanAll) }

  /// All distances.
  public var measurement: Measurement? { .distances }

  /// One mean for each vector.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    _ = try geometry.finiteIndices(discardingAtMost: f)
    let n = geometry.n
    var nearest = MemberSets(count: n, of: n)
    for i in 0..<n where geometry.isFinite(i) {
      nearest.insert((0..<n).lowestSet(n - f) { geometry.squaredDistance(i, $0) }, into: i)
    }
    return .means(of: nearest, overlapping: true)
  }
}
