public import ByzTensor

/// An attack whose strength is searched so that the server's rule errs most (ByzFL's optimal ALIE and IPM).
///
/// ```
/// maximise over τ:  ‖ rule(honest ∪ f copies of a(τ)) - mean(honest) ‖
/// a(τ) = μ + τσ (``Family/alie``)   or   -τμ (``Family/innerProduct``)
/// ```
///
/// A line search: from `start`, steps of `delta` that double while they help; after the first that does not, each further step is
/// `ratio` times the one before, and counts only if it helps.
///
/// - Parameters: 1 ≤ f ≤ 2²⁰; 1 ≤ `evaluations` ≤ 10⁶; `start` finite; `delta` finite and not 0; 0.5 < ratio < 1.
/// - Sees: the honest gradients and the rule. A τ that the rule refuses counts as no error.
/// - Complexity: `evaluations` aggregations.
///
/// Source: Allouah et al., *Fixing by Mixing*, AISTATS 2023; Shejwalkar and Houmansadr, *Manipulating the Byzantine*, NDSS 2021.
public struct OptimizedAttack: RuleAwareAttack {
  /// The attacks whose strength can be searched.
  public enum Family: String, Codable, Sendable, CaseIterable {
    /// ``ALIE``: μ + τσ, with the sample deviation.
    case alie
    /// ``InnerProductManipulation``: -τμ.
    case innerProduct
  }

  /// The attack whose strength is searched.
  public let family: Family
  /// The number of aggregations that the search may make.
  public let evaluations: Int
  /// The first τ.
  public let start: Double
  /// The first step.
  public let delta: Double
  /// What a step shrinks by once the search narrows.
  public let ratio: Double

  /// Searches with ByzFL's defaults.
  public init(
    _ family: Family, evaluations: Int = 20, start: Double = 0, delta: Double = 10,
    ratio: Double = 0.8
  ) {
    self.family = family
    self.evaluations = evaluations
    self.start = start
    self.delta = delta
    self.ratio = ratio
  }

  /// The gradient that errs most.
  ///
  /// - Throws: ``AttackError``, ``AggregationError`` when the rule does not work for so many; `CancellationError`.
  public func craft<Element>(
    honest: [Tensor<Element>], against rule: any Aggregator, f: Int
  ) throws -> Tensor<Element> {
    try validate(f: f)
    return try attack(strength(honest: honest, against: rule, f: f)).craft(honest: honest)
  }

  /// The τ that errs most.
  ///
  /// - Throws: as ``craft(honest:against:f:)``.
  public func strength<Element>(
    honest: [Tensor<Element>], against rule: any Aggregator, f: Int
  ) throws -> Double {
    try validate(f: f)
    let mean = try Mean().aggregate(honest)
    // A rule that cannot work for this n and f is the caller's mistake; one that refuses a certain τ is a strong rule.
    try rule.validate(n: honest.count + f)
    func error(_ τ: Double) throws -> Double {
      guard τ.isFinite else { return 0 }  // the steps have doubled beyond all numbers
      let sent = try attack(τ).craft(honest: honest)
      let result = try? rule.aggregate(honest + Array(repeating: sent, count: f))
      // A rule that has searched in vain for that reason has refused nothing.
      try Task.checkCancellation()
      return result?.squaredDistance(to: mean).squareRoot() ?? 0
    }
    var (best, step, used) = (start, delta, 1)
    var bestError = try error(best)
    var isExpanding = true
    while used < evaluations {
      let candidate = best + step
      let candidateError = try error(candidate)
      used += 1
      let helps = candidateError > bestError
      if helps { (best, bestError) = (candidate, candidateError) }
      if isExpanding && helps {
        step *= 2
      } else {
        isExpanding = false
        step *= ratio
      }
    }
    return best
  }

  /// The list of all vectors holds one reference for each attacker; more of them are a slip of the keyboard.
  private static let mostAttackers = 1 << 20

  private func attack(_ τ: Double) -> any OmniscientAttack {
    family == .alie ? ALIE(tau: τ) : InnerProductManipulation(tau: τ)
  }

  /// Requires f ≥ 1 and the parameters in the ranges above.
  public func validate(f: Int) throws(AttackError) {
    func require(_ condition: Bool, _ parameter: String, _ value: some Any, _ requirement: String)
      throws(AttackError)
    {
      guard condition else {
        throw .invalidParameter(
          attack: name, name: parameter, value: "\(value)", requirement: requirement)
      }
    }
    try require((1...Self.mostAttackers).contains(f), "f", f, "in 1...\(Self.mostAttackers)")
    try require(
      (1...1_000_000).contains(evaluations), "evaluations", evaluations, "in 1...1000000")
    try require(start.isFinite, "start", start, "finite")
    try require(delta.isFinite && delta != 0, "delta", delta, "finite and not 0")
    try require(ratio > 0.5 && ratio < 1, "ratio", ratio, "between 0.5 and 1")
  }
}

extension Tensor {
  /// ‖self - other‖², of two tensors of one shape.
  fileprivate func squaredDistance(to other: Tensor) -> Double {
    withUnsafeBufferPointer { x in
      other.withUnsafeBufferPointer { y in
        zip(x, y).reduce(0) { sum, pair in
          let difference = Double(pair.0) - Double(pair.1)
          return sum + difference * difference
        }
      }
    }
  }
}
