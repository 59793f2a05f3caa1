/// Random numbers one after another, for draws whose number is not known beforehand.
///
/// Everything here gives the same bits on every platform: bounded integers, normals and gammas do
/// not go through the standard library's or the C library's versions, which may differ.
public struct RandomStream: RandomNumberGenerator, Sendable {
  private let key: RandomKey
  private let normalKey: RandomKey
  private var words = 0
  private var normals = 0
  private var second: UInt64 = 0

  /// The stream of a key, from its beginning.
  public init(_ key: RandomKey) {
    self.key = key
    normalKey = key.derived(for: "normals of a stream")
  }

  /// 64 random bits: half a Philox block.
  public mutating func next() -> UInt64 {
    defer { words += 1 }
    guard words.isMultiple(of: 2) else { return second }
    let block = key.block(UInt64(words / 2))
    second = block.1
    return block.0
  }

  /// A uniform integer in `0 ..< bound`, without bias (Lemire 2019).
  ///
  /// - Precondition: `bound` is positive.
  public mutating func integer(below bound: Int) -> Int {
    precondition(bound > 0, "There is no integer in 0 ..< \(bound)")
    let bound = UInt64(bound)
    var product = bound.multipliedFullWidth(by: next())
    if product.low < bound {
      let excess = (0 &- bound) % bound  // 2⁶⁴ modulo bound
      while product.low < excess { product = bound.multipliedFullWidth(by: next()) }
    }
    return Int(product.high)
  }

  /// A uniform number in [0, 1) with 53 random bits.
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A standard normal number.
  public mutating func normal() -> Double {
    var value = 0.0
    withUnsafeMutablePointer(to: &value) {
      normalKey.fillNormals(UnsafeMutableBufferPointer(start: $0, count: 1), from: normals)
    }
    normals += 1
    return value
  }

  /// The logarithm of a gamma number of the given shape and scale 1.
  ///
  /// The logarithm, because a gamma number of a small shape underflows: at shape 0.001 half of them
  /// are below 10⁻³⁰⁰. About 1.05 tries for each.
  ///
  /// - Precondition: `shape` is positive and finite.
  ///
  /// Source: Marsaglia and Tsang, *A Simple Method for Generating Gamma Variables*, ACM TOMS 2000;
  /// below shape 1 by `gamma(shape) = gamma(shape + 1)·u^(1/shape)`, as there.
  public mutating func logGamma(shape: Double) -> Double {
    precondition(shape > 0 && shape.isFinite, "A gamma number has a positive shape, not \(shape)")
    if shape < 1 {
      return logGamma(shape: shape + 1) + portableLog(1 - uniform()) / shape
    }
    let d = shape - 1 / 3.0
    let c = 1 / (9 * d).squareRoot()
    while true {
      let x = normal()
      let root = 1 + c * x
      guard root > 0 else { continue }
      let v = root * root * root
      let logV = portableLog(v)
      if portableLog(1 - uniform()) < x * x / 2 + d - d * v + d * logV {
        return portableLog(d) + logV
      }
    }
  }

  /// `count` non-negative numbers that sum to 1, from the symmetric Dirichlet distribution with
  /// parameter `alpha`: nearly equal for a large alpha, nearly all of it in one place for a small
  /// one.
  ///
  /// - Precondition: `count` is positive, and `alpha` is finite and at least 1e-300.
  public mutating func dirichlet(alpha: Double, count: Int) -> [Double] {
    precondition(count > 0, "A Dirichlet draw has at least one part, not \(count)")
    precondition(alpha >= 1e-300, "A Dirichlet draw has a positive alpha, not \(alpha)")
    var logs: [Double] = []
    for _ in 0..<count { logs.append(logGamma(shape: alpha)) }
    let largest = logs.reduce(-.infinity, max)
    let weights = logs.map { portableExp($0 - largest) }
    let sum = weights.reduce(0, +)
    return weights.map { $0 / sum }
  }
}
