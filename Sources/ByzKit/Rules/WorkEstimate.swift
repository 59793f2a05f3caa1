import ByzTensor

// About how long a step of a rule takes one processor, in nanoseconds for each number in single precision: only to decide whether it is
// worth to wake others. Rounded from times of 8 to 1,024 vectors in Benchmarks/results.

extension Measurement {
  func nanosecondsPerNumber(n: Int) -> Double {
    switch self {
    case .norms, .distancesTo: Combination.leastNanosecondsPerNumber
    case .distances: 0.2 + 0.012 * Double(n)
    case .centredGram: 0.2 + 0.012 * Double(n) + Combination.sorting(n)
    }
  }
}

extension Combination {
  /// Reading.
  static let leastNanosecondsPerNumber = 0.17

  func nanosecondsPerNumber(n: Int) -> Double {
    switch self {
    case .weightedSum(let weights):
      Self.leastNanosecondsPerNumber * Double(weights.count { $0 != 0 }) / Double(n)
    case .infinity: Self.leastNanosecondsPerNumber / Double(n)
    case .weightedSumAboutMedian, .median, .trimmedMean, .meanAroundMedian: Self.sorting(n)
    case .scaled, .meanPlusDeviation: 2 * Self.leastNanosecondsPerNumber
    case .means(let sets, let overlapping):
      overlapping ? 0.01 * Double(sets.count) : 2 * Self.leastNanosecondsPerNumber
    }
  }

  /// Ranks within the columns.
  fileprivate static func sorting(_ n: Int) -> Double {
    0.07 * Double(n.bitWidth - n.leadingZeroBitCount)
  }
}
