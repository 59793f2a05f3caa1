/// Clips every vector to a given length.
///
/// ```
/// yᵢ = xᵢ·min(1, threshold/‖xᵢ‖)
/// ```
///
/// - Tolerates: any n ≥ 1; the threshold is finite and ≥ 0.
/// - Non-finite: a vector with NaN or infinity has no direction and becomes zero.
/// - Complexity: O(nd) time; n vectors out, O(n) memory beside them.
public struct Clipping: PreAggregator {
  /// The greatest length that is left alone.
  public let threshold: Double

  /// Clips to this length.
  public init(threshold: Double) { self.threshold = threshold }

  /// Requires n ≥ 1 and a finite threshold ≥ 0.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, .any)
    try require(threshold.isFinite && threshold >= 0, "threshold", threshold, "a finite number ≥ 0")
  }

  /// All norms.
  public var measurement: Measurement? { .norms }
  /// A vector's length is its own.
  public var treatsEachVectorAlone: Bool { true }

  /// One factor for each vector.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .scaled(geometry.factors(clippingTo: threshold))
  }
}

extension Geometry {
  /// What to multiply each vector by so that none is longer than `length`; 0 for one that is not finite.
  func factors(clippingTo length: Double) -> [Double] {
    (0..<n).map { i in
      let norm = squaredNorm(i).squareRoot()
      return norm.isFinite ? (norm > length ? length / norm : 1) : 0
    }
  }
}
