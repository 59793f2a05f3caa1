/// Adaptive robust clipping: clips the k longest vectors to the length of the next.
///
/// ```
/// k = ⌊2f(n - f)/n⌋;   yᵢ = xᵢ·min(1, C/‖xᵢ‖)        C: the (k + 1)-th largest norm
/// ```
///
/// - Tolerates: `0 ≤ f < n`.
/// - Ties: none; vectors of length C are unchanged.
/// - Non-finite: a vector with NaN or infinity has infinite norm and becomes zero; more than k of them are refused.
/// - Complexity: O(nd) time; n vectors out, O(n) memory beside them.
///
/// Source: Allouah et al., *Adaptive Gradient Clipping for Robust Federated Learning*, ICLR 2025. k is computed in integers; the
/// peers' floating point is one short for some (n, f), such as (242, 33).
public struct ARC: PreAggregator {
  /// The number of Byzantine vectors to tolerate.
  public let f: Int

  /// Tolerates f Byzantine vectors.
  public init(f: Int) { self.f = f }

  /// Requires 0 ≤ f < n.
  public func validate(n: Int) throws(AggregationError) { try require(n: n, f: f, .fewerThanAll) }

  /// All norms.
  public var measurement: Measurement? { .norms }

  /// One factor for each vector.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    let n = geometry.n
    let k = 2 * f * (n - f) / n
    _ = try geometry.finiteIndices(discardingAtMost: k)
    let limit = (0..<n).map { geometry.squaredNorm($0).squareRoot() }.sorted()[n - k - 1]
    return .scaled(geometry.factors(clippingTo: limit))
  }
}
