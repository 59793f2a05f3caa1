/// Covariance-bound-agnostic filter: weighs vectors down along the direction in which they spread most.
///
/// ```
/// cᵢ = 1;  while Σ cᵢ > n - 2f:
///   μ = Σ cᵢxᵢ / Σ cᵢ;   (λ, v) = top eigenpair of Σ cᵢ(xᵢ - μ)(xᵢ - μ)ᵀ / Σ cᵢ;   keep μ if λ is the smallest so far
///   τᵢ = ⟨v, xᵢ - μ⟩²;   cᵢ ← cᵢ(1 - τᵢ / max{τₖ : cₖ > 0})
/// ```
///
/// Each round spends the weight of one vector at least, so at most n rounds run; both peers take the maximum over spent vectors
/// too, and can loop forever.
///
/// - Tolerates: `0 ≤ 2f < n`. f = 0 gives the mean.
/// - Ties: none; a tied top eigenvalue leaves the direction to rounding.
/// - Non-finite: a vector with NaN or infinity starts with weight 0; more than f of them are refused.
/// - Complexity: O(n²d) for the centred Gram matrix, O(n³) a round, O(nd) for the mean; O(n²) memory beside the input.
///
/// Source: Allouah, Guerraoui, Stephan, *Towards Trustworthy Federated Learning with Untrusted Participants*, ICML 2025. The
/// eigenpair is exact; the peers make one or three power steps from a random vector.
public struct CAF: Aggregator {
  /// The number of Byzantine vectors to tolerate.
  public let f: Int

  /// Tolerates f Byzantine vectors.
  public init(f: Int) { self.f = f }

  /// Requires 0 ≤ 2f < n.
  public func validate(n: Int) throws(AggregationError) { try require(n: n, f: f, .minority) }

  /// The centred Gram matrix.
  public var measurement: Measurement? { .centredGram }

  /// The weights of the best mean.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    let finite = try geometry.finiteIndices(discardingAtMost: f)
    var weights = [Double](repeating: 0, count: geometry.n)
    for (i, weight) in zip(finite, try filter(geometry, finite)) { weights[i] = weight }
    return .weightedSum(weights)
  }

  /// The normalised weights of the finite vectors.
  private func filter(
    _ geometry: Geometry, _ finite: [Int]
  ) throws(AggregationError) -> [Double] {
    let m = finite.count
    var c = [Double](repeating: 1, count: m)
    var kept = [Double](repeating: 1 / Double(m), count: m)
    var smallest = Double.infinity
    while c.reduce(0, +) > Double(geometry.n - 2 * f) {
      try checkCancellation()
      let sum = c.reduce(0, +)
      let active = c.indices.filter { c[$0] > 0 }
      let w = active.map { c[$0] / sum }
      // Relative to the farthest vector that still counts: beside it no square overflows, and once it is spent the squares of
      // the others do not vanish.
      let largest = active.map { geometry.centredProduct(finite[$0], finite[$0]) }.max() ?? 0
      let unit = largest > 0 ? largest : 1
      // ⟨xᵢ - μ, xₖ - μ⟩ from the products about the median.
      let rows = active.map { i in
        active.map { geometry.centredProduct(finite[i], finite[$0]) / unit }
      }
      let toMean = rows.map { row in zip(row, w).reduce(0) { $0 + $1.0 * $1.1 } }
      let meanSquare = zip(toMean, w).reduce(0) { $0 + $1.0 * $1.1 }
      let product = { (i: Int, k: Int) in rows[i][k] - toMean[i] - toMean[k] + meanSquare }

      // The covariance and the matrix √cᵢ√cₖ⟨xᵢ - μ, xₖ - μ⟩ / Σ c share their positive eigenvalues.
      let root = w.map { $0.squareRoot() }
      var matrix: [Double] = []
      for i in w.indices {
        for k in w.indices { matrix.append(root[i] * root[k] * product(i, k)) }
      }
      let reduced = Tridiagonal(matrix, count: w.count)
      let λ = reduced.largestEigenvalue()
      if λ * unit < smallest {
        smallest = λ * unit
        kept = c.map { $0 / sum }
      }
      // v is proportional to Σ √cₖ uₖ(xₖ - μ); its length cancels in the ratio of the τ.
      let u = reduced.largestEigenvector(λ)
      let τ = w.indices.map { i in
        let projection = w.indices.reduce(0) { $0 + root[$1] * u[$1] * product(i, $1) }
        return projection * projection
      }
      let top = τ.max() ?? 0
      // What is left is rounding: the vectors that still count are equal. Beside their own size, weighted: a far vector with next to no
      // weight left must not hide what the others still do.
      let size = w.indices.reduce(0) { $0 + w[$1] * rows[$1][$1] }
      guard λ > 1e-14 * size, top > 0 else { break }
      for (i, τ) in zip(active, τ) { c[i] *= min(max(1 - τ / top, 0), 1) }
    }
    return kept
  }
}

extension Aggregator where Self == CAF {
  /// ``CAF``.
  public static func caf(f: Int) -> Self { CAF(f: f) }
}
