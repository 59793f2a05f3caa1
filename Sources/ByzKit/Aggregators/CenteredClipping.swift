/// Centered clipping: moves a centre by the mean of the vectors' offsets, each clipped to length τ, a fixed number of times.
///
/// ```
/// v ← v + (1/n) Σᵢ (xᵢ - v)·min(1, τ/‖xᵢ - v‖)        `iterations` times
/// ```
///
/// The iteration runs on n + 1 weights, never on d coordinates.
///
/// - Tolerates: no f of its own; one Byzantine vector moves the centre by τ/n an iteration at most. Its guarantee rests on a good
///   start, such as the previous round's aggregate.
/// - Parameters: τ finite and ≥ 0, 1 ≤ `iterations` ≤ 10⁶. A vector at the centre contributes zero.
/// - Non-finite: vectors with NaN or infinity contribute zero but count in n; they take no part in a mean start. The median start
///   needs a finite median.
/// - Complexity: O(n²d) for the centred Gram matrix, O(n²) an iteration, O(nd) for the sum; O(n²) memory beside the input.
///
/// Source: Karimireddy, He, Jaggi, *Learning from History for Byzantine Robust Optimization*, ICML 2021. ByzFL keeps the centre
/// between calls; here a rule has no memory, so pass the previous aggregate as ``Start/at(_:)``.
public struct CenteredClipping: Aggregator {
  /// Where the centre begins.
  public enum Start: Sendable {
    /// The mean of the finite vectors.
    case mean
    /// The coordinate-wise median.
    case median
    /// The zero vector.
    case zero
    /// A given vector, such as the previous aggregate, of the vectors' element type and as many numbers.
    case at(AnyTensor)
  }

  /// τ: the length to which offsets are clipped.
  public let tau: Double
  /// The number of moves.
  public let iterations: Int
  /// Where the centre begins.
  public let start: Start

  /// Clips offsets to `tau`, `iterations` times.
  public init(tau: Double, iterations: Int = 10, start: Start = .mean) {
    self.tau = tau
    self.iterations = iterations
    self.start = start
  }

  /// Clips offsets to `tau` around the previous aggregate.
  public init<Element>(tau: Double, iterations: Int = 1, around previous: Tensor<Element>) {
    self.init(tau: tau, iterations: iterations, start: .at(AnyTensor(previous)))
  }

  /// Requires n ≥ 1, a finite τ ≥ 0 and 1 to a million iterations.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, .any)
    try require(tau.isFinite && tau >= 0, "tau", tau, "a finite number ≥ 0")
    try require((1...1_000_000).contains(iterations), "iterations", iterations, "in 1...1000000")
  }

  /// The centred Gram matrix.
  public var measurement: Measurement? { .centredGram }

  /// The start, if it is neither the mean nor the median.
  public var extraVector: ExtraVector? {
    switch start {
    case .mean, .median: nil
    case .zero: .zero
    case .at(let vector): .vector(vector)
    }
  }

  /// The weights of the centre after the last move.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    let n = extraVector == nil ? geometry.n : geometry.n - 1
    let finite = geometry.finiteIndices.filter { $0 < n }
    guard !finite.isEmpty else { throw .tooManyNonFinite(count: n, allowed: n - 1) }
    // v = c + Σ weights·(x - c) for the median c about which the products are.
    var weights = [Double](repeating: 0, count: geometry.n)
    switch start {
    case .mean: for i in finite { weights[i] = 1 / Double(finite.count) }
    case .median:
      guard 2 * finite.count > n else {
        throw .tooManyNonFinite(count: n - finite.count, allowed: (n - 1) / 2)
      }
    case .zero, .at:
      guard geometry.isFinite(n) else { throw .referenceNotFinite(index: n) }
      weights[n] = 1
    }
    let used = finite + (extraVector == nil ? [] : [n])
    for _ in 0..<iterations {
      try checkCancellation()
      let inner = used.map { i in
        used.reduce(0) { $0 + geometry.centredProduct(i, $1) * weights[$1] }
      }
      let square = zip(used, inner).reduce(0) { $0 + weights[$1.0] * $1.1 }
      var shrink = [Double](repeating: 0, count: geometry.n)
      for (position, i) in used.enumerated() where i < n {
        let distance = max(0, geometry.centredProduct(i, i) - 2 * inner[position] + square)
          .squareRoot()
        shrink[i] = distance > tau ? tau / distance : 1
      }
      let mean = shrink.reduce(0, +) / Double(n)
      for i in used { weights[i] = weights[i] * (1 - mean) + shrink[i] / Double(n) }
    }
    if case .median = start { return .weightedSumAboutMedian(weights) }
    return .weightedSum(weights)
  }
}

extension Aggregator where Self == CenteredClipping {
  /// ``CenteredClipping`` from the mean.
  public static func centeredClipping(tau: Double, iterations: Int = 10) -> Self {
    CenteredClipping(tau: tau, iterations: iterations)
  }
}
