/// The geometric median: the point of smallest summed distance to the vectors.
///
/// ```
/// out = argmin_y Σᵢ ‖xᵢ - y‖
/// ```
///
/// Weiszfeld's iteration runs to convergence on n weights, never on d coordinates, from the coordinate-wise median; a vector that
/// is itself the minimiser is found and returned exactly. After 20,000 steps, which a minimiser right beside a vector can take, it ends
/// where it is.
///
/// - Tolerates: any minority of Byzantine vectors, `2f < n`.
/// - Ties: when the minimiser is not unique (an even number of vectors on one line), the midpoint of the two middle ones.
/// - Non-finite: vectors with NaN or infinity are dropped; they must be a minority.
/// - Complexity: O(n²d) for the centred Gram matrix, O(n²) an iteration, O(nd) for the sum; O(n²) memory beside the input.
///
/// Source: Weiszfeld, 1937; Vardi and Zhang, 2000; Pillutla et al., *Robust Aggregation for Federated Learning*, 2022. ByzFL makes
/// three smoothed steps from zero, ByzPy stops at an absolute step of 1e-6.
public struct GeometricMedian: Aggregator {
  /// The geometric median.
  public init() {}

  /// Requires n ≥ 1.
  public func validate(n: Int) throws(AggregationError) { try require(n: n, .any) }

  /// The centred Gram matrix.
  public var measurement: Measurement? { .centredGram }

  /// The weights of the minimiser, which lies in the vectors' convex hull.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    let finite = try geometry.finiteIndices(discardingAtMost: (geometry.n - 1) / 2)
    let points = CentredPoints(geometry, finite)
    let exact = points.midpointOnLine() ?? points.optimalVector()
    let found = if let exact { exact } else { try points.weiszfeld(checkCancellation) }
    var weights = [Double](repeating: 0, count: geometry.n)
    for (i, weight) in zip(finite, found) { weights[i] = weight }
    return .weightedSum(weights)
  }
}

/// Points known by their inner products about a centre.
private struct CentredPoints {
  let m: Int
  /// ⟨xᵢ - c, xₖ - c⟩, divided by a scale so that no square overflows.
  private let products: [Double]
  /// The relative error of a squared distance.
  private let precision: Double
  /// ‖xᵢ - c‖² of a typical point, divided by the same scale: 1 unless a point is out of all proportion.
  private let typical: Double

  init(_ geometry: Geometry, _ indices: [Int]) {
    m = indices.count
    let values = indices.flatMap { i in indices.map { geometry.centredProduct(i, $0) } }
    let typical = indices.map { geometry.centredProduct($0, $0) }.sorted()[indices.count / 2]
    let largest = values.max() ?? 0
    let unit = max(typical > 0 ? typical : largest > 0 ? largest : 1, largest * 0x1p-960)
    products = values.map { $0 / unit }
    self.typical = typical > 0 ? typical / unit : 1
    precision = geometry.elementType == .float32 ? 4e-7 : 4e-15
  }

  private func product(_ i: Int, _ k: Int) -> Double { products[i * m + k] }

  private func squaredDistance(_ i: Int, _ k: Int) -> Double {
    max(0, product(i, i) + product(k, k) - 2 * product(i, k))
  }

  /// The weights of the midpoint of the two middle points, if an even number lies on one line: there, and only there, the
  /// minimiser is not unique.
  func midpointOnLine() -> [Double]? {
    guard m % 2 == 0 else { return nil }
    // The coordinate-wise median of points on a line lies on it, so on a line all offsets from it are parallel. Angles, not
    // lengths: beside a row that is far away all others are one point.
    let far = (0..<m).max { product($0, $0) < product($1, $1) } ?? 0
    let length = product(far, far).squareRoot()
    for i in 0..<m where product(i, i) > 0 {
      let cosine = product(i, far) / (product(i, i).squareRoot() * length)
      guard 1 - cosine * cosine <= precision else { return nil }
    }
    let order = (0..<m).lowest(m) { product($0, far) }
    return (0..<m).map { $0 == order[m / 2 - 1] || $0 == order[m / 2] ? 0.5 : 0 }
  }

  /// The weights of a point that is itself the minimiser: the pull of the others does not exceed its own multiplicity.
  func optimalVector() -> [Double]? {
    // Only the point with the smallest summed distance can be.
    let sums = (0..<m).map { i in (0..<m).reduce(0) { $0 + squaredDistance(i, $1).squareRoot() } }
    let p = (0..<m).lowest(1) { sums[$0] }[0]
    let toPoint = (0..<m).map { squaredDistance(p, $0) }
    let others = (0..<m).filter { toPoint[$0] > 0 }
    var pull = 0.0
    for i in others {
      for k in others {
        // From products, not from distances: those of a row that is far away hide all others.
        let inner = product(i, k) - product(i, p) - product(p, k) + product(p, p)
        pull += inner / (toPoint[i].squareRoot() * toPoint[k].squareRoot())
      }
    }
    // Where the two are equal but for rounding, an iteration would creep.
    guard max(0, pull).squareRoot() <= Double(m - others.count) + 1e-9 else { return nil }
    return (0..<m).map { $0 == p ? 1 : 0 }
  }

  /// Weiszfeld's iteration from the centre, with Vardi and Zhang's step where it meets one of the points.
  ///
  /// - Parameter check: called before each step.
  func weiszfeld(_ check: () throws(AggregationError) -> Void) throws(AggregationError) -> [Double]
  {
    var weights = [Double](repeating: 0, count: m)
    var toIterate = weights  // ⟨xᵢ - c, y - c⟩
    var iterateSquare = 0.0  // ‖y - c‖²
    for _ in 0..<20_000 {
      try check()
      let squares = (0..<m).map { product($0, $0) - 2 * toIterate[$0] + iterateSquare }
      let isMet = (0..<m).map { squares[$0] <= precision * (product($0, $0) + iterateSquare) }
      var next = (0..<m).map { isMet[$0] ? 0 : 1 / squares[$0].squareRoot() }
      let pullPerStep = next.reduce(0, +)
      guard pullPerStep > 0 else { return weights }
      for i in next.indices { next[i] /= pullPerStep }
      var nextToIterate = timesProducts(next)
      if let met = isMet.firstIndex(of: true) {
        // The others pull by Σ (xᵢ - y)/‖xᵢ - y‖ = pullPerStep·(target - y); the met points hold with their number.
        var own = [Double](repeating: 0, count: m)
        own[met] = 1
        let ownToIterate = (0..<m).map { product($0, met) }
        let step = squaredNorm(next, own, nextToIterate, ownToIterate).squareRoot()
        let hold = Double(isMet.count { $0 }) / (pullPerStep * step)
        guard hold < 1 else { return own }
        for i in 0..<m {
          next[i] = (1 - hold) * next[i] + hold * own[i]
          nextToIterate[i] = (1 - hold) * nextToIterate[i] + hold * ownToIterate[i]
        }
      }
      let change = squaredNorm(next, weights, nextToIterate, toIterate)
      (weights, toIterate) = (next, nextToIterate)
      iterateSquare = zip(next, nextToIterate).reduce(0) { $0 + $1.0 * $1.1 }
      if change <= 1e-28 * typical { break }
    }
    return weights
  }

  /// ⟨xᵢ - c, Σ weights·(x - c)⟩ for every i.
  private func timesProducts(_ weights: [Double]) -> [Double] {
    products.withUnsafeBufferPointer { products in
      (0..<m).map { i in
        var sum = 0.0
        for k in 0..<m { sum += products[i * m + k] * weights[k] }
        return sum
      }
    }
  }

  /// ‖y - z‖² of two weighted sums, given their products with every point.
  private func squaredNorm(_ y: [Double], _ z: [Double], _ toY: [Double], _ toZ: [Double]) -> Double
  {
    var sum = 0.0
    for i in 0..<m { sum += (y[i] - z[i]) * (toY[i] - toZ[i]) }
    return max(0, sum)
  }
}

extension Aggregator where Self == GeometricMedian {
  /// ``GeometricMedian``.
  public static var geometricMedian: Self { GeometricMedian() }
}
