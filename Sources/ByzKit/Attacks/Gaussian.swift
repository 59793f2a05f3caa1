public import ByzTensor

/// Sends independent normal draws.
///
/// ```
/// out_j ~ N(mean, deviation²)
/// ```
///
/// - Parameters: both finite, deviation ≥ 0. The same key gives the same draws, on every machine.
/// - Sees: the shape of a gradient.
public struct Gaussian: BlindAttack {
  /// The mean of every coordinate.
  public let mean: Double
  /// The standard deviation of every coordinate.
  public let deviation: Double

  /// Draws from N(mean, deviation²).
  public init(mean: Double = 0, deviation: Double = 1) {
    self.mean = mean
    self.deviation = deviation
  }

  /// Requires a finite mean and a finite deviation ≥ 0.
  public func validate() throws(AttackError) {
    try require(mean.isFinite, "mean", mean, "finite")
    try require(deviation.isFinite && deviation >= 0, "deviation", deviation, "a finite number ≥ 0")
  }

  /// Draws a gradient.
  public func craft<Element>(shape: [Int], key: RandomKey) throws(AttackError) -> Tensor<Element> {
    try validate()
    return .normal(shape: shape, mean: mean, deviation: deviation, key: key)
  }
}

/// Sends independent uniform draws.
///
/// ```
/// out_j ~ U[-scale, scale)
/// ```
///
/// - Parameters: `scale` finite and ≥ 0. The same key gives the same draws, on every machine.
/// - Sees: the shape of a gradient.
public struct UniformNoise: BlindAttack {
  /// The bound of every coordinate.
  public let scale: Double

  /// Draws from -scale ..< scale.
  public init(scale: Double = 1) { self.scale = scale }

  /// Requires a finite scale ≥ 0.
  public func validate() throws(AttackError) {
    try require(scale.isFinite && scale >= 0, "scale", scale, "a finite number ≥ 0")
  }

  /// Draws a gradient.
  public func craft<Element>(shape: [Int], key: RandomKey) throws(AttackError) -> Tensor<Element> {
    try validate()
    var draws = Tensor<Element>.uniform(shape: shape, key: key)
    draws.withUnsafeMutableBufferPointer { draws in
      for i in draws.indices { draws[i] = (2 * draws[i] - 1) * Element(scale) }
    }
    return draws
  }
}

extension BlindAttack {
  fileprivate func require(
    _ condition: Bool, _ parameter: String, _ value: some Any, _ requirement: String
  ) throws(AttackError) {
    guard condition else {
      throw .invalidParameter(
        attack: name, name: parameter, value: "\(value)", requirement: requirement)
    }
  }
}
