import ByzTensor

/// Stochastic gradient descent with momentum and weight decay, in PyTorch's form.
///
/// ```
/// v ← μ v + (g + λ θ)      θ ← θ - η v
/// ```
///
/// The optimizer is a value that holds the rates η, μ, λ; velocity and step count are the caller's
/// ``State``, which a checkpoint saves beside the parameters. Coordinates do not affect each other,
/// so any rounding is the same on every machine.
///
/// ```swift
/// let sgd = SGD(learningRate: 0.05, momentum: 0.9)
/// var state = SGD.State()
/// try sgd.update(&parameters, with: gradient, state: &state)
/// ```
public struct SGD: Hashable, Codable, Sendable {
  /// η at each step.
  public let learningRate: LearningRate
  /// μ, the share of the velocity that stays: 0 ≤ μ < 1.
  public let momentum: Float
  /// λ, the factor of ‖θ‖²/2 in the loss: λ ≥ 0.
  public let weightDecay: Float

  /// An optimizer with these rates; those who use it check them.
  public init(learningRate: LearningRate, momentum: Float = 0, weightDecay: Float = 0) {
    self.learningRate = learningRate
    self.momentum = momentum
    self.weightDecay = weightDecay
  }

  /// What an optimizer remembers between steps.
  public struct State: Codable, Sendable {
    /// v, of shape (d); nil before the first step, which stands for zeros.
    public var velocity: Tensor<Float>?
    /// Steps taken.
    public var step: Int

    /// The state before the first step, or a saved one.
    public init(velocity: Tensor<Float>? = nil, step: Int = 0) {
      self.velocity = velocity
      self.step = step
    }
  }

  /// Takes one step: changes the parameters, of shape (d), and the state.
  ///
  /// - Throws: ``ModelError/wrongParameterCount(expected:actual:)`` when gradient or velocity are
  ///   not as long as the parameters, ``ModelError/invalidHyperparameter(name:value:bound:)`` when
  ///   a rate is out of its range.
  /// - Complexity: O(d).
  public func update(
    _ parameters: inout Tensor<Float>, with gradient: Tensor<Float>, state: inout State
  ) throws(ModelError) {
    try validate()
    let count = parameters.count
    for other in [gradient.count, state.velocity?.count ?? count] where other != count {
      throw .wrongParameterCount(expected: count, actual: other)
    }
    // Moved out, so that the memory has one owner and is changed in place.
    var velocity = state.velocity ?? Tensor(repeating: 0, shape: [count])
    state.velocity = nil
    let rate = Float(learningRate.rate(at: state.step))
    gradient.withUnsafeBufferPointer { g in
      velocity.withUnsafeMutableBufferPointer { v in
        parameters.withUnsafeMutableBufferPointer { theta in
          for i in 0..<count {
            v[i] = momentum * v[i] + (g[i] + weightDecay * theta[i])
            theta[i] -= rate * v[i]
          }
        }
      }
    }
    state.velocity = velocity
    state.step += 1
  }

  /// Checks the rates.
  func validate() throws(ModelError) {
    try learningRate.validate()
    guard momentum >= 0, momentum < 1 else {
      throw .invalidHyperparameter(
        name: "momentum", value: Double(momentum), bound: "0 ≤ momentum < 1")
    }
    guard weightDecay >= 0, weightDecay.isFinite else {
      throw .invalidHyperparameter(
        name: "weight decay", value: Double(weightDecay), bound: "a finite number ≥ 0")
    }
  }
}
