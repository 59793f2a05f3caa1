/// How a rule makes its output out of its n vectors, column by column: what a rule decides.
///
/// It is a small value that travels to the workers, each of which applies it to its own columns.
public enum Combination: Hashable, Codable, Sendable {
  /// `Σ weights[i]·xᵢ`. A vector of weight 0 is not read, so it may hold anything.
  case weightedSum([Double])
  /// `c + Σ weights[i]·(xᵢ - c)` for the coordinate-wise median c.
  case weightedSumAboutMedian([Double])
  /// The median of each coordinate: the mean of the two middle values for even n, or the lower of them.
  case median(lower: Bool)
  /// The mean of each coordinate without its f smallest and f largest values.
  case trimmedMean(f: Int)
  /// The mean of the `m - f` values nearest to the median, of each coordinate of the m listed vectors.
  case meanAroundMedian(f: Int, of: [Int])
  /// The mean of each coordinate plus `factor` standard deviations, whose divisor is `n - correction`.
  case meanPlusDeviation(factor: Double, correction: Int)
  /// Infinity in every coordinate.
  case infinity
  /// `factors[i]·xᵢ` for every i; a factor of 0 gives zeros, whatever the vector holds.
  case scaled([Double])
  /// For each set the mean of its vectors; NaN for an empty one. `overlapping` says that the sets share most of
  /// their vectors, which saves work and changes no bit.
  case means(of: MemberSets, overlapping: Bool)

  /// How many vectors come out.
  var outputCount: Int {
    switch self {
    case .scaled(let factors): factors.count
    case .means(let sets, _): sets.count
    default: 1
    }
  }

  /// The outputs that are not the vector of the same index as it is, and the combination of those vectors that makes them; nil if
  /// that is all of them.
  var withoutCopies: (indices: [Int], combination: Combination)? {
    guard case .scaled(let factors) = self, factors.contains(1) else { return nil }
    let indices = factors.indices.filter { factors[$0] != 1 }
    return (indices, .scaled(indices.map { factors[$0] }))
  }

  /// Writes these columns of the output.
  ///
  /// - Parameter isLarge: Whether the rows, with those that they are a part of, are larger than most caches.
  func apply(to rows: Rows, columns: Range<Int>, into out: OutputRows, isLarge: Bool) {
    rows.readingAhead(columns: columns, inMultiplesOf: Rows.blockColumns, of: read(of: rows)) {
      out.fill(columns: $0) { out, columns, isBuffered in
        write(to: out, of: rows, columns: columns, isLarge: isLarge && !isBuffered)
      }
    }
  }

  /// The rows that it reads at once; nil when it reads one after another.
  private func read(of rows: Rows) -> Rows? {
    switch self {
    case .scaled, .infinity: nil
    case .weightedSum(let weights): rows.selecting(weights.indices.filter { weights[$0] != 0 })
    case .meanAroundMedian(_, let indices): rows.selecting(indices)
    default: rows
    }
  }

  private func write(to out: OutputRows, of rows: Rows, columns: Range<Int>, isLarge: Bool) {
    switch self {
    case .weightedSum(let weights): rows.weightedSum(weights, columns: columns, into: out)
    case .weightedSumAboutMedian(let weights):
      rows.weightedSumAboutMedian(weights, columns: columns, into: out)
    case .median(let lower): rows.median(lower: lower, columns: columns, into: out)
    case .trimmedMean(let f): rows.trimmedMean(f: f, columns: columns, into: out)
    case .meanAroundMedian(let f, let indices):
      rows.selecting(indices).meanAroundMedian(f: f, columns: columns, into: out)
    case .meanPlusDeviation(let factor, let correction):
      rows.meanPlusDeviation(factor: factor, correction: correction, columns: columns, into: out)
    case .infinity: out.fill(.infinity, columns: columns)
    case .scaled(let factors):
      // Memory need not be read only to be overwritten.
      rows.scaled(by: factors, columns: columns, into: out, isStreaming: isLarge)
    case .means(let sets, let overlapping):
      precondition(sets.n == rows.count && sets.isConsistent, "sets of other vectors")
      rows.subsetMeans(members: sets.words, overlapping: overlapping, columns: columns, into: out)
    }
  }
}

extension Combination {
  /// The mean of the listed vectors, of n.
  public static func mean(of indices: [Int], n: Int) -> Combination {
    var weights = [Double](repeating: 0, count: n)
    for i in indices { weights[i] = 1 / Double(indices.count) }
    return .weightedSum(weights)
  }
}
