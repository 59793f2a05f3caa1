/// Comparative gradient elimination: the mean of the n - f vectors of smallest norm.
///
/// ```
/// out = (1/(n - f)) Σ_{i ∈ S} xᵢ        S: the n - f vectors of smallest ‖xᵢ‖
/// ```
///
/// - Tolerates: `0 ≤ f < n`. It bounds lengths only: Byzantine vectors of ordinary length stay in.
/// - Ties: equal norms go to the lowest index.
/// - Non-finite: a vector with NaN or infinity has infinite norm; more than f of them are refused.
/// - Complexity: O(nd) time, O(n) memory beside input and output.
///
/// Source: Gupta, Liu, Vaidya, *Byzantine Fault-Tolerant Distributed Machine Learning Using Stochastic Gradient Descent (SGD)
/// and Norm-Based Comparative Gradient Elimination (CGE)*, 2020.
public struct CGE: Aggregator {
  /// The number of vectors dropped.
  public let f: Int

  /// Drops the f longest vectors.
  public init(f: Int) { self.f = f }

  /// Requires 0 ≤ f < n.
  public func validate(n: Int) throws(AggregationError) { try require(n: n, f: f, .fewerThanAll) }

  /// All norms.
  public var measurement: Measurement? { .norms }

  /// Equal weights for the shortest vectors.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    _ = try geometry.finiteIndices(discardingAtMost: f)
    let n = geometry.n
    return .mean(of: (0..<n).lowest(n - f) { geometry.squaredNorm($0) }, n: n)
  }
}

extension Aggregator where Self == CGE {
  /// ``CGE``.
  public static func cge(f: Int) -> Self { CGE(f: f) }
}
