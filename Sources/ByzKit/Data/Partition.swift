import ByzTensor

/// How training samples are shared out among nodes.
///
/// Every sample goes to exactly one node, and every node gets at least one. The same labels, number
/// of nodes and key give the same shares everywhere.
public enum Partition: Hashable, Sendable, Codable {
  /// Shares of equal size (±1) from a random order: all nodes see the same distribution.
  case iid
  /// Samples are sorted by label and cut into `n · perNode` shards of equal size (±1), of which
  /// each node gets `perNode` at random: it sees about so many classes.
  ///
  /// Source: McMahan et al., *Communication-Efficient Learning of Deep Networks from Decentralized
  /// Data*, AISTATS 2017 (two per node). With one per node, nearly every node sees a single class.
  case shards(perNode: Int)
  /// Each class is divided by its own draw from the symmetric Dirichlet distribution: nearly evenly
  /// for a large alpha, nearly all to one node for a small one.
  ///
  /// A node that gets nothing takes one sample from the largest share (ties: lowest node), so that
  /// any alpha will do.
  ///
  /// Source: Hsu et al., *Measuring the Effects of Non-Identical Data Distribution for Federated
  /// Visual Classification*, 2019; they divide nodes among classes, most others since, and ByzKit,
  /// classes among nodes.
  case dirichlet(alpha: Double)

  /// The samples of each of `n` nodes, ascending, as positions in `labels`.
  ///
  /// - Throws: ``PartitionError`` when there is no node, when there are fewer samples than nodes
  ///   (shards: than shards), or when a parameter is out of range: `perNode` ≥ 1, `alpha` finite
  ///   and ≥ 1e-300.
  /// - Complexity: O(N log N + n·classes) for N samples, and O(n) more for each node that a Dirichlet
  ///   draw left with nothing.
  public func indices(
    of labels: [Int], nodes n: Int, key: RandomKey
  ) throws(PartitionError) -> [[Int]] {
    guard n > 0 else { throw .noNodes(n) }
    switch self {
    case .iid:
      try require(labels.count >= n, samples: labels.count, parts: n)
      return pieces(of: key.permutation(of: labels.count), n).map { $0.sorted() }

    case .shards(let perNode):
      guard perNode >= 1 else { throw .invalidShardCount(perNode) }
      let (count, overflow) = n.multipliedReportingOverflow(by: perNode)
      try require(!overflow && labels.count >= count, samples: labels.count, parts: count)
      let sorted = labels.indices.sorted { (labels[$0], $0) < (labels[$1], $1) }
      let shards = pieces(of: sorted, count)
      let order = pieces(of: key.permutation(of: count), n)
      return order.map { $0.flatMap { shards[$0] }.sorted() }

    case .dirichlet(let alpha):
      guard alpha.isFinite, alpha >= 1e-300 else { throw .invalidAlpha(alpha) }
      try require(labels.count >= n, samples: labels.count, parts: n)
      return divideClasses(of: labels, n, alpha: alpha, key: key)
    }
  }

  private func require(_ condition: Bool, samples: Int, parts: Int) throws(PartitionError) {
    guard condition else { throw .tooFewSamples(samples, parts: parts) }
  }

  /// `n` pieces of equal size, the first few one longer.
  private func pieces(of items: [Int], _ n: Int) -> [ArraySlice<Int>] {
    let (size, rest) = items.count.quotientAndRemainder(dividingBy: n)
    return (0..<n).map { i in
      let start = i * size + min(i, rest)
      return items[start..<start + size + (i < rest ? 1 : 0)]
    }
  }

  private func divideClasses(of labels: [Int], _ n: Int, alpha: Double, key: RandomKey) -> [[Int]] {
    let classes = Dictionary(grouping: labels.indices) { labels[$0] }
    var shares: [[Int]] = Array(repeating: [], count: n)
    for (label, samples) in classes.sorted(by: { $0.key < $1.key }) {
      let key = key.child(UInt64(bitPattern: Int64(label)))
      let order = key.derived(for: "order").permutation(of: samples.count)
      var stream = RandomStream(key.derived(for: "parts"))
      var start = 0
      var sum = 0.0
      for (node, part) in stream.dirichlet(alpha: alpha, count: n).enumerated() {
        sum += part
        let end =
          node == n - 1
          ? samples.count : min(samples.count, Int((sum * Double(samples.count)).rounded()))
        shares[node] += order[start..<end].map { samples[$0] }
        start = end
      }
    }
    // The largest share has two or more as long as one is empty, because there are at least n
    // samples.
    for node in 0..<n where shares[node].isEmpty {
      let largest = (0..<n).max { (shares[$0].count, $1) < (shares[$1].count, $0) } ?? 0
      shares[node].append(shares[largest].removeLast())
    }
    return shares.map { $0.sorted() }
  }
}

/// Why samples cannot be shared out.
public enum PartitionError: Error, Hashable, Sendable {
  /// There must be at least one node.
  case noNodes(Int)
  /// Every one of `parts` nodes or shards needs a sample.
  case tooFewSamples(Int, parts: Int)
  /// A node needs at least one shard.
  case invalidShardCount(Int)
  /// Alpha must be finite and at least 1e-300.
  case invalidAlpha(Double)
}

extension PartitionError: CustomStringConvertible {
  /// What is wrong, with the number to change.
  public var description: String {
    switch self {
    case .noNodes(let n): "Cannot share samples out among \(n) nodes: requires n ≥ 1."
    case .tooFewSamples(let count, let parts):
      "Cannot cut \(count) samples into \(parts) parts: every part needs one."
    case .invalidShardCount(let count):
      "Cannot give \(count) shards to a node: requires perNode ≥ 1."
    case .invalidAlpha(let alpha):
      "Cannot divide with alpha = \(alpha): requires a finite alpha ≥ 1e-300."
    }
  }
}
