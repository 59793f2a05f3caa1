public import ByzTensor

/// Bucketing: permutes the vectors, cuts them into groups of `size` and averages each group.
///
/// ```
/// y_b = mean of x_π(b·size), …, x_π(b·size + size - 1)        the last group may be smaller
/// ```
///
/// - Tolerates: n ≥ 1 and `size` ≥ 1. A Byzantine vector spoils its own group, so f stays and n shrinks to ⌈n/size⌉: check the
///   bound of the rule that follows.
/// - Non-finite: NaN and infinity spread through their own group only.
/// - Complexity: O(nd) time; ⌈n/size⌉ vectors out, O(n) memory beside them.
///
/// Source: Karimireddy, He, Jaggi, *Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing*, ICLR 2022.
public struct Bucketing: PreAggregator {
  private enum Order: Sendable {
    case asGiven
    case permutation([Int])
    case random(RandomKey)
  }

  /// The vectors in one group.
  public let size: Int
  private let order: Order

  /// Groups the vectors as they come.
  public init(size: Int) {
    self.size = size
    order = .asGiven
  }

  /// Groups the vectors in a given order: entry k is the index of the vector placed k-th.
  public init(size: Int, permutation: [Int]) {
    self.size = size
    order = .permutation(permutation)
  }

  /// Groups the vectors in an order drawn from `key`, another one for every round (``Rule/forRound(_:)``).
  public init(size: Int, key: RandomKey) {
    self.size = size
    order = .random(key)
  }

  /// Requires n ≥ 1, size ≥ 1 and, if a permutation was given, one of 0..<n.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, .any)
    try require(size >= 1, "size", size, "at least 1")
    if case .permutation(let permutation) = order {
      try require(
        permutation.sorted().elementsEqual(0..<n), "permutation", permutation,
        "a permutation of 0..<\(n)")
    }
  }

  /// ⌈n/size⌉.
  public func outputCount(n: Int) -> Int { n < 1 ? 0 : (n - 1) / max(1, size) + 1 }

  /// With a random order, the order of this round.
  public func forRound(_ round: Int) -> Bucketing {
    guard case .random(let key) = order else { return self }
    return Bucketing(size: size, key: key.child(UInt64(bitPattern: Int64(round))))
  }

  /// One mean for each group.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    let n = geometry.n
    let placed =
      switch order {
      case .asGiven: Array(0..<n)
      case .permutation(let permutation): permutation
      case .random(let key): key.permutation(of: n)
      }
    let size = min(size, n)
    let groups = stride(from: 0, to: n, by: size).map { Array(placed[$0..<min($0 + size, n)]) }
    return .means(of: MemberSets(groups, of: n), overlapping: false)
  }
}
