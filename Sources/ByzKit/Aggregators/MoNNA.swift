/// The mean of the n - f vectors nearest to one that is trusted, itself included (nearest-neighbour averaging).
///
/// ```
/// out = (1/(n - f)) Σ_{i ∈ N} xᵢ        N: the n - f vectors of smallest ‖xᵢ - x_reference‖²
/// ```
///
/// - Tolerates: `0 ≤ 2f < n` and `0 ≤ reference < n`.
/// - Ties: equal distances go to the lowest index.
/// - Non-finite: a vector with NaN or infinity is infinitely far; more than f of them, or a reference that is not finite, are
///   refused.
/// - Complexity: O(nd) time, O(n) memory beside input and output.
///
/// Source: Farhadkhani et al., *Robust Collaborative Learning with Linear Gradient Overhead*, ICML 2023: the averaging step.
public struct MoNNA: Aggregator {
  /// The number of Byzantine vectors to tolerate.
  public let f: Int
  /// The index of the trusted vector, usually the node's own.
  public let reference: Int

  /// Averages around vector number `reference`.
  public init(f: Int, reference: Int = 0) {
    self.f = f
    self.reference = reference
  }

  /// Requires 0 ≤ 2f < n and 0 ≤ reference < n.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, f: f, .minority)
    try require((0..<n).contains(reference), "reference", reference, "in 0..<\(n)")
  }

  /// The distances to the trusted vector.
  public var measurement: Measurement? { .distancesTo(reference) }

  /// Equal weights for the nearest vectors.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    // Asked first: every distance to a reference that is not finite is infinite.
    guard geometry.isFinite(reference) else { throw .referenceNotFinite(index: reference) }
    _ = try geometry.finiteIndices(discardingAtMost: f)
    let n = geometry.n
    return .mean(of: (0..<n).lowest(n - f) { geometry.squaredDistance(to: $0) }, n: n)
  }
}

extension Aggregator where Self == MoNNA {
  /// ``MoNNA``.
  public static func moNNA(f: Int, reference: Int = 0) -> Self { MoNNA(f: f, reference: reference) }
}
