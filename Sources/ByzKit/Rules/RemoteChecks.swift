import ByzTensor

// Whether a rule's work fits the rows it came with, when both came from another process: kernels trust what they are given.

extension Measurement {
  func fits(rows n: Int, centred: Int, hasZeros: Bool) -> Bool {
    guard n >= 1, n <= 1 << 16, centred >= 1, centred <= n else { return false }
    return switch self {
    case .norms, .distances: !hasZeros
    case .distancesTo(let reference): !hasZeros && reference >= 0 && reference < n
    case .centredGram: true
    }
  }
}

extension Combination {
  func fits(rows: Rows, outputs: OutputRows) -> Bool {
    let n = rows.count
    guard n >= 1, rows.elementType == outputs.elementType, outputs.pointers.count == outputCount,
      !outputs.pointers.contains(nil)
    else { return false }
    if case .infinity = self { return true }
    if case .weightedSum(let weights) = self { return weights.count == n }
    guard !rows.pointers.contains(nil) else { return false }
    return switch self {
    case .weightedSum, .infinity, .median: true
    case .weightedSumAboutMedian(let weights): weights.count == n
    case .trimmedMean(let f): f >= 0 && f < (n + 1) / 2
    case .meanAroundMedian(let f, let indices):
      f >= 0 && f < indices.count && indices.count <= n && indices.allSatisfy { $0 >= 0 && $0 < n }
    case .meanPlusDeviation(_, let correction): correction >= 0 && correction < n
    case .scaled(let factors): factors.count == n
    case .means(let sets, _):
      sets.n == n && sets.isConsistent
    }
  }
}
