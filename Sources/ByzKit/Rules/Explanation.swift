public import ByzTensor

/// What a rule did with its vectors: ``Aggregator/explain(_:)``.
public struct Explanation<Element: TensorElement>: Sendable {
  /// What the rule made, bit for bit that of ``Aggregator/aggregate(_:)-([Tensor<Element>])``.
  public let aggregate: Tensor<Element>

  /// How much of each input is in the aggregate, one number per input.
  ///
  /// - A rule that combines whole vectors: the very weights it chose, such as 1/q for each of Multi-Krum's q vectors.
  /// - A rule that treats each coordinate alike: the mean over the coordinates of an input's weight there, such as 1/(n - 2f) in
  ///   a trimmed mean where the value was kept and 0 where it was dropped. Of equal values the first ones count as the smaller.
  /// - Behind pre-aggregators: traced back to the first input, through every mean and every factor that clips.
  ///
  /// They sum to 1, but for what clipping took away and for the weight that ``CenteredClipping`` leaves on a start of its own.
  public let weights: [Double]

  /// Whether each input has a weight: false for those that the rule dropped altogether.
  public var isKept: [Bool] { weights.map { $0 != 0 } }
}

extension Aggregator {
  /// Aggregates n vectors and says what became of each.
  ///
  /// Nothing in ``aggregate(_:)-([Tensor<Element>])`` prepares for this, so it costs nothing there. Here a rule that treats
  /// each coordinate alike sorts its columns a second time, one by one: slower by far than aggregating.
  ///
  /// - Parameter vectors: n tensors of one shape, any rank.
  /// - Throws: ``AggregationError`` as `aggregate`.
  /// - Complexity: beside the aggregation O(n log n · d) for a rule by coordinates, else O(n²) for each rule in the chain.
  public func explain<Element>(
    _ vectors: [Tensor<Element>]
  ) throws(AggregationError) -> Explanation<Element> {
    try validate(n: vectors.count)
    var vectors = vectors
    // shares[i][k]: how much of input k is in the i-th of the vectors that have come so far.
    var shares = vectors.indices.map { i in vectors.indices.map { $0 == i ? 1.0 : 0 } }
    for rule in preAggregators { (vectors, shares) = try rule.applyTracing(vectors, shares) }
    (vectors, shares) = try applyTracing(vectors, shares)
    return Explanation(aggregate: vectors[0], weights: shares[0])
  }
}

extension Rule {
  /// One pass of the rule, which has been validated: what comes out, and its shares in the inputs.
  fileprivate func applyTracing<Element>(
    _ vectors: [Tensor<Element>], _ shares: [[Double]]
  ) throws(AggregationError) -> ([Tensor<Element>], [[Double]]) {
    let run = try RuleRun(self, on: Rows(checking: vectors))
    let combination = try run.decide()
    var outputs = (0..<combination.outputCount).map { _ in
      Tensor<Element>(uninitialized: vectors[0].shape)
    }
    run.apply(combination, into: OutputRows(&outputs))
    let traced = combination.weights(of: vectors).map { weights in
      // A weight of 0 hides whatever the vector holds. The extra vector, which has no share, stands behind the others.
      zip(weights, shares).reduce(into: shares[0].map { _ in 0.0 }) { sum, pair in
        for k in sum.indices where pair.0 != 0 { sum[k] += pair.0 * pair.1[k] }
      }
    }
    return (outputs, traced)
  }
}

extension Combination {
  /// For each output the weight of each vector, a mean over the coordinates where they differ.
  fileprivate func weights<Element>(of vectors: [Tensor<Element>]) -> [[Double]] {
    let n = vectors.count
    let all = Array(0..<n)
    switch self {
    case .weightedSum(let weights): return [weights]
    case .weightedSumAboutMedian(let weights):
      let rest = 1 - weights.reduce(0, +)
      let median = meanShares(of: vectors, all) { $0.middle(lower: false) }
      return [zip(weights, median).map { $0 + rest * $1 }]
    case .median(let lower): return [meanShares(of: vectors, all) { $0.middle(lower: lower) }]
    case .trimmedMean(let f): return [meanShares(of: vectors, all) { $0.ranks[f..<n - f] }]
    case .meanAroundMedian(let f, let indices):
      return [meanShares(of: vectors, indices) { $0.nearestToMedian(indices.count - f) }]
    // The deviation belongs to no vector more than to another.
    case .meanPlusDeviation: return [all.map { _ in 1 / Double(n) }]
    case .infinity: return [all.map { _ in 0 }]
    case .scaled(let factors): return all.map { i in all.map { $0 == i ? factors[i] : 0 } }
    case .means(let sets, _):
      return (0..<sets.count).map { set in
        let members = sets.members(of: set)
        return members.reduce(into: all.map { _ in 0.0 }) { $0[$1] += 1 / Double(members.count) }
      }
    }
  }

  /// The mean over the coordinates of 1/count for each of the vectors that `kept` picks there.
  private func meanShares<Element>(
    of vectors: [Tensor<Element>], _ indices: [Int],
    kept: (SortedColumn<Element>) -> some Collection<Int>
  ) -> [Double] {
    var shares = [Double](repeating: 0, count: vectors.count)
    let columns = vectors[0].count
    for j in 0..<columns {
      // The tensors in `vectors` keep the memory in place.
      let picked = kept(SortedColumn(indices.map { vectors[$0].address[j] }))
      for k in picked { shares[indices[k]] += 1 / Double(picked.count) / Double(columns) }
    }
    withExtendedLifetime(vectors) {}
    return shares
  }
}

/// The values of one coordinate and their order, NaN as +∞, equal values by index.
private struct SortedColumn<Element: TensorElement> {
  let values: [Element]
  /// The indices of the values, smallest first.
  let ranks: [Int]

  init(_ column: [Element]) {
    let values = column.map { $0.isNaN ? .infinity : $0 }
    self.values = values
    ranks = values.indices.sorted { (values[$0], $0) < (values[$1], $1) }
  }

  /// The value in the middle, or the two.
  func middle(lower: Bool) -> ArraySlice<Int> {
    let n = ranks.count
    return ranks[(n - 1) / 2...(lower ? (n - 1) / 2 : n / 2)]
  }

  /// The `count` values nearest to the median.
  func nearestToMedian(_ count: Int) -> [Int] {
    let middle = middle(lower: false).map { Double(values[$0]) }
    return values.indices.lowest(count) { i in
      // The mean of the distances to the middle values, in double precision, as the kernel compares: no value lies between the two.
      let distance = middle.reduce(0) { $0 + abs(Double(values[i]) - $1) / Double(middle.count) }
      return distance.isNaN ? .infinity : distance
    }
  }
}
