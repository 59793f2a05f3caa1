/// Bulyan over Krum: selects n - 2f vectors by repeated Krum, then averages each coordinate around its median.
///
/// ```
/// repeat θ = n - 2f times: move the vector of smallest Krum score among the r left (r - f - 1 neighbours) to S
/// out_j = mean of the θ - 2f values of S nearest to their median in coordinate j
/// ```
///
/// - Tolerates: `f ≥ 0` and `n ≥ 4f + 3`.
/// - Ties: equal scores and equal distances go to the lowest index.
/// - Non-finite: a vector with NaN or infinity is infinitely far from all others; more than f of them are refused.
/// - Complexity: O(n²d) for the distances, O(n³) for the selection, O(n log² n · d) for the mean; O(n²) memory beside the input.
///
/// Source: El Mhamdi, Guerraoui, Rouault, *The Hidden Vulnerability of Distributed Learning in Byzantium*, ICML 2018. Scores
/// count one neighbour more than the paper's, as in ``MultiKrum``.
public struct Bulyan: Aggregator {
  /// The number of Byzantine vectors to tolerate.
  public let f: Int

  /// Tolerates f Byzantine vectors of at least 4f + 3.
  public init(f: Int) { self.f = f }

  /// Requires f ≥ 0 and n ≥ 4f + 3.
  public func validate(n: Int) throws(AggregationError) { try require(n: n, f: f, .quarter) }

  /// All distances.
  public var measurement: Measurement? { .distances }

  /// The mean around the median of the selected vectors.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    _ = try geometry.finiteIndices(discardingAtMost: f)
    return .meanAroundMedian(f: 2 * f, of: select(geometry).sorted())
  }

  private func select(_ geometry: Geometry) -> [Int] {
    let n = geometry.n
    // Each vector's others by distance, once; a pick then only passes over those that have gone.
    let nearest = (0..<n).map { i in
      (0..<n).filter { $0 != i }.lowest(n - 1) { geometry.squaredDistance(i, $0) }
    }
    var left = [Bool](repeating: true, count: n)
    var chosen: [Int] = []
    for remaining in (1...n).reversed().prefix(n - 2 * f) {
      var best = (score: Double.infinity, index: -1)
      for i in 0..<n where left[i] {
        var score = 0.0
        var counted = 0
        for j in nearest[i] where counted < remaining - f - 1 && left[j] {
          score += geometry.squaredDistance(i, j)
          counted += 1
        }
        if score < best.score || best.index < 0 { best = (score, i) }
      }
      left[best.index] = false
      chosen.append(best.index)
    }
    return chosen
  }
}

extension Aggregator where Self == Bulyan {
  /// ``Bulyan``.
  public static func bulyan(f: Int) -> Self { Bulyan(f: f) }
}
