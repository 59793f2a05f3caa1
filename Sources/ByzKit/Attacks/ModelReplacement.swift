/// Sends an update that makes an averaging server's model land on a target.
///
/// ```
/// out = G + γ(T - G)        γ = n/η for n workers and a server rate η
/// ```
///
/// - Parameters: γ finite.
/// - Sees: the global model G; the target T is its own choice. The arithmetic is `(1 - γ)·G + γ·T`, exact to about γ roundings.
///
/// Source: Bagdasaryan et al., *How To Backdoor Federated Learning*, AISTATS 2020.
public struct ModelReplacement: ModelAttack {
  /// How far the update overshoots.
  public let gamma: Double

  /// Overshoots by `gamma`.
  public init(gamma: Double) { self.gamma = gamma }

  /// Requires two vectors, the global model and the target, and a finite γ.
  public func validate(n: Int) throws(AggregationError) {
    try require(n == 2, "models", n, "two: the global model and the target")
    try require(gamma.isFinite, "gamma", gamma, "finite")
  }

  /// The weights 1 - γ and γ.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .weightedSum([1 - gamma, gamma])
  }
}
