import ByzTensor

/// The learning rate as a function of the step: a value, so that a resumed run continues with the
/// same rates, and the same bits on every machine.
public enum LearningRate: Hashable, Codable, Sendable {
  /// The same at every step.
  case constant(Double)
  /// `initial · factorᵏ` after k times `every` steps.
  case step(initial: Double, every: Int, factor: Double)
  /// Half a cosine from `initial` down to `final` over `steps` steps, and `final` from then on.
  case cosine(initial: Double, final: Double, steps: Int)

  /// The rate of one step, counted from 0.
  public func rate(at step: Int) -> Double {
    switch self {
    case .constant(let rate): rate
    case .step(let initial, let every, let factor):
      initial * portablePower(factor, step / max(every, 1))
    case .cosine(let initial, let final, let steps):
      if step >= steps {
        final
      } else {
        // (1 + cos x) / 2 is the square of the cosine of half of it.
        final + (initial - final)
          * portablePower(portableCosine(.pi / 2 * Double(step) / Double(steps)), 2)
      }
    }
  }
}

extension LearningRate: ExpressibleByFloatLiteral {
  /// A constant rate.
  public init(floatLiteral rate: Double) { self = .constant(rate) }
}

extension LearningRate {
  /// Throws unless all rates are finite and not negative, and periods are positive.
  func validate() throws(ModelError) {
    func check(_ name: String, _ value: Double, _ isValid: Bool, _ bound: String) throws(ModelError)
    {
      guard isValid else { throw .invalidHyperparameter(name: name, value: value, bound: bound) }
    }
    func checkRate(_ name: String, _ rate: Double) throws(ModelError) {
      try check(name, rate, rate.isFinite && rate >= 0, "a finite number ≥ 0")
    }
    switch self {
    case .constant(let rate): try checkRate("learning rate", rate)
    case .step(let initial, let every, let factor):
      try checkRate("initial learning rate", initial)
      try checkRate("learning rate factor", factor)
      try check("steps between changes", Double(every), every > 0, "at least 1")
    case .cosine(let initial, let final, let steps):
      try checkRate("initial learning rate", initial)
      try checkRate("final learning rate", final)
      try check("steps of the cosine", Double(steps), steps > 0, "at least 1")
    }
  }
}
