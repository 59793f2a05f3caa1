/// Fall of empires: a multiple of the honest mean, usually a negative one.
///
/// ```
/// out = scale·(1/n) Σᵢ xᵢ
/// ```
///
/// - Parameters: `scale` finite; -1 turns the mean round.
/// - Sees: the honest gradients.
///
/// Source: Xie, Koyejo, Gupta, *Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product Manipulation*, UAI 2020. The same
/// attack as ``InnerProductManipulation`` with τ = -scale.
public struct Empire: OmniscientAttack {
  /// What the mean is multiplied by.
  public let scale: Double

  /// Multiplies the honest mean.
  public init(scale: Double = -1) { self.scale = scale }

  /// Requires one honest gradient and a finite scale.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, .any)
    try require(scale.isFinite, "scale", scale, "finite")
  }

  /// Equal weights that sum to the scale.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .weightedSum([Double](repeating: scale / Double(geometry.n), count: geometry.n))
  }
}

/// Inner-product manipulation: the honest mean turned round and stretched, so that the aggregate may point away from it.
///
/// ```
/// out = -τ·(1/n) Σᵢ xᵢ
/// ```
///
/// - Parameters: τ finite, 2 as in ByzFL.
/// - Sees: the honest gradients.
///
/// Source: Xie, Koyejo, Gupta, *Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product Manipulation*, UAI 2020.
public struct InnerProductManipulation: OmniscientAttack {
  /// How far the mean is stretched.
  public let tau: Double

  /// Turns the honest mean round and stretches it.
  public init(tau: Double = 2) { self.tau = tau }

  /// Requires one honest gradient and a finite τ.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, .any)
    try require(tau.isFinite, "tau", tau, "finite")
  }

  /// Equal weights that sum to -τ.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .weightedSum([Double](repeating: -tau / Double(geometry.n), count: geometry.n))
  }
}
