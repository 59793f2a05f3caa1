/// How many neighbours a Krum score counts.
public enum KrumNeighbors: String, Codable, Sendable, CaseIterable {
  /// n - f - 1, as ByzPy and ByzFL count.
  case standard
  /// n - f - 2, as in the paper; needs f ≤ n - 3.
  case paper

  /// The number of neighbours among `n` vectors.
  func count(n: Int, f: Int) -> Int { self == .standard ? n - f - 1 : n - f - 2 }
  var legalCounts: LegalCounts { self == .standard ? .minorityOfTwo : .minorityOfThree }
}

/// The average of the `q` vectors that sit closest to their neighbours (Multi-Krum); Krum itself is `q = 1`.
///
/// ```
/// score(i) = Σ_{j ∈ N(i)} ‖xᵢ - xⱼ‖²        N(i): the n - f - 1 other vectors nearest to xᵢ
/// ```
///
/// - Tolerates: `0 ≤ 2f < n`, `f ≤ n - 2` and `1 ≤ q ≤ n - f`. The paper proves resilience for 2f + 2 < n.
/// - Ties: equal scores go to the lowest index.
/// - Non-finite: a vector with NaN or infinity is infinitely far from all others; more than f of them are refused.
/// - Complexity: O(n²d) for the distances, O(n² log n) for the scores, O(qd) for the mean; O(n²) memory beside the input.
///
/// Source: Blanchard et al., *Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent*, NeurIPS 2017. The paper
/// counts `n - f - 2` neighbours, which ``KrumNeighbors/paper`` does too; ByzPy and ByzFL count `n - f - 1`, and so does ByzKit
/// by default. ByzFL fixes q = n - f.
public struct MultiKrum: Aggregator {
  /// The number of Byzantine vectors to tolerate.
  public let f: Int
  /// The number of vectors averaged.
  public let q: Int
  /// How many neighbours count.
  public let neighbors: KrumNeighbors

  /// Averages the q vectors of smallest score.
  public init(f: Int, q: Int, neighbors: KrumNeighbors = .standard) {
    self.f = f
    self.q = q
    self.neighbors = neighbors
  }

  /// Requires 0 ≤ 2f < n, f ≤ n - 2 (n - 3 with the paper's neighbours) and 1 ≤ q ≤ n - f.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, f: f, neighbors.legalCounts)
    try require((1...(n - f)).contains(q), "q", q, "in 1...\(n - f) for n = \(n) and f = \(f)")
  }

  /// All distances.
  public var measurement: Measurement? { .distances }

  /// Equal weights for the q vectors of smallest score.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    _ = try geometry.finiteIndices(discardingAtMost: f)
    let n = geometry.n
    let scores = (0..<n).map { i in
      (0..<n).filter { $0 != i }.map { geometry.squaredDistance(i, $0) }
        .sorted().prefix(neighbors.count(n: n, f: f)).reduce(0, +)
    }
    return .mean(of: (0..<n).lowest(q) { scores[$0] }, n: n)
  }
}

/// The vector that sits closest to its neighbours: ``MultiKrum`` with `q = 1`.
///
/// ```
/// out = x_i with the smallest score(i) = Σ_{j ∈ N(i)} ‖xᵢ - xⱼ‖²        |N(i)| = n - f - 1
/// ```
///
/// - Tolerates: `0 ≤ 2f < n` and `f ≤ n - 2`. The paper proves resilience for 2f + 2 < n.
/// - Ties: equal scores go to the lowest index.
/// - Non-finite: a vector with NaN or infinity is infinitely far from all others; more than f of them are refused.
/// - Complexity: O(n²d) for the distances, O(n² log n) for the scores; O(n²) memory beside the input.
///
/// Source: Blanchard et al., *Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent*, NeurIPS 2017; see
/// ``MultiKrum`` for the count of neighbours.
public struct Krum: Aggregator {
  /// The number of Byzantine vectors to tolerate.
  public let f: Int
  /// How many neighbours count.
  public let neighbors: KrumNeighbors

  /// Picks the vector of smallest score.
  public init(f: Int, neighbors: KrumNeighbors = .standard) {
    self.f = f
    self.neighbors = neighbors
  }

  private var rule: MultiKrum { MultiKrum(f: f, q: 1, neighbors: neighbors) }

  /// Requires 0 ≤ 2f < n and f ≤ n - 2 (n - 3 with the paper's neighbours).
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, f: f, neighbors.legalCounts)
  }

  /// All distances.
  public var measurement: Measurement? { rule.measurement }

  /// Weight 1 for the vector of smallest score.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    try rule.decide(geometry)
  }
}

extension Aggregator where Self == Krum {
  /// ``Krum``.
  public static func krum(f: Int) -> Self { Krum(f: f) }
}

extension Aggregator where Self == MultiKrum {
  /// ``MultiKrum``.
  public static func multiKrum(f: Int, q: Int) -> Self { MultiKrum(f: f, q: q) }
}
