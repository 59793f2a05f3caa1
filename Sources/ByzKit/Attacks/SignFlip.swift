/// Sends its own gradient turned round.
///
/// ```
/// out = scale·x        scale = -1
/// ```
///
/// - Parameters: `scale` finite.
/// - Sees: its own gradient.
///
/// Source: Li et al., *RSA: Byzantine-Robust Stochastic Aggregation Methods*, AAAI 2019. ByzFL negates the honest mean instead,
/// which is ``Empire`` with scale -1.
public struct SignFlip: OwnGradientAttack {
  /// What the gradient is multiplied by.
  public let scale: Double

  /// Multiplies its own gradient by `scale`.
  public init(scale: Double = -1) { self.scale = scale }

  /// Requires one gradient and a finite scale.
  public func validate(n: Int) throws(AggregationError) {
    try requireOneGradient(n: n, scale: scale)
  }

  /// The scale.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .weightedSum([scale])
  }
}

/// Boosts its own update, so that it outweighs the others in an average.
///
/// ```
/// out = scale·x        scale = 10
/// ```
///
/// - Parameters: `scale` finite.
/// - Sees: its own gradient.
///
/// Source: Bagdasaryan et al., *How To Backdoor Federated Learning*, AISTATS 2020; Bhagoji et al., 2019.
public struct Scaling: OwnGradientAttack {
  /// What the update is multiplied by.
  public let scale: Double

  /// Multiplies its own update by `scale`.
  public init(scale: Double = 10) { self.scale = scale }

  /// Requires one gradient and a finite scale.
  public func validate(n: Int) throws(AggregationError) {
    try requireOneGradient(n: n, scale: scale)
  }

  /// The scale.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .weightedSum([scale])
  }
}

extension OwnGradientAttack {
  fileprivate func requireOneGradient(n: Int, scale: Double) throws(AggregationError) {
    try require(n == 1, "gradients", n, "one: the attacker's own")
    try require(scale.isFinite, "scale", scale, "finite")
  }
}
