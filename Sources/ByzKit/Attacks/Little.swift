/// A little is enough, with the published factor: as far from the mean as a value can be without standing out.
///
/// ```
/// out_j = μ_j + z·σ_j        z = Φ⁻¹((N - s)/N),  s = max(1, ⌊N/2⌋ + 1 - f)
/// ```
///
/// μ and σ are the mean and population standard deviation (divisor n) of the n honest gradients, N the number of all workers.
///
/// - Parameters: 0 ≤ f ≤ N, and a quantile strictly between 0 and 1.
/// - Sees: the honest gradients.
///
/// Source: Baruch, Baruch, Goldberg, *A Little Is Enough: Circumventing Defenses For Distributed Learning*, NeurIPS 2019. ByzPy has
/// this form; ByzFL's is ``ALIE``.
public struct Little: OmniscientAttack {
  /// The number of attackers.
  public let f: Int
  /// The number of all workers; honest ones plus f if nil.
  public let workers: Int?

  /// Hides among `workers` workers of which f attack.
  public init(f: Int, workers: Int? = nil) {
    self.f = f
    self.workers = workers
  }

  /// Requires one honest gradient, 0 ≤ f ≤ N and a quantile strictly between 0 and 1.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, .any)
    try require(f >= 0, "f", f, "at least 0")
    let (sum, overflow) = n.addingReportingOverflow(f)
    try require(!overflow, "f", f, "a number of workers")
    let all = workers ?? sum
    try require(all >= max(f, 1), "workers", all, "at least f = \(f) and 1")
    let p = quantile(n: n)
    try require(p > 0 && p < 1, "f", f, "such that the quantile \(p) lies strictly between 0 and 1")
  }

  private func quantile(n: Int) -> Double {
    let all = workers ?? n + f
    return Double(all - max(1, all / 2 + 1 - f)) / Double(all)
  }

  /// The mean plus z deviations.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .meanPlusDeviation(
      factor: normalQuantile(quantile(n: geometry.n)), correction: 0)
  }
}

/// A little is enough, with a given factor.
///
/// ```
/// out_j = μ_j + τ·σ_j
/// ```
///
/// μ and σ are the mean and sample standard deviation (divisor n - 1) of the n honest gradients.
///
/// - Parameters: τ finite; n ≥ 2.
/// - Sees: the honest gradients.
///
/// Source: Baruch, Baruch, Goldberg, *A Little Is Enough: Circumventing Defenses For Distributed Learning*, NeurIPS 2019, in the form
/// of ByzFL. ByzPy's is ``Little``.
public struct ALIE: OmniscientAttack {
  /// The number of deviations.
  public let tau: Double

  /// Moves `tau` deviations from the mean.
  public init(tau: Double = 1.5) { self.tau = tau }

  /// Requires two honest gradients and a finite τ.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, .any)
    try require(n >= 2, "honest gradients", n, "at least 2, to have a deviation")
    try require(tau.isFinite, "tau", tau, "finite")
  }

  /// The mean plus τ deviations.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .meanPlusDeviation(factor: tau, correction: 1)
  }
}
