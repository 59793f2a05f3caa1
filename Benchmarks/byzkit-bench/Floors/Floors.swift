/// What the rules' n vectors of d numbers are.
package struct Shape: Hashable, Sendable {
  package let n: Int
  package let d: Int
  /// Bytes in one number.
  package let size: Int

  package init(n: Int, d: Int, size: Int = 4) {
    self.n = n
    self.d = d
    self.size = size
  }

  /// n·d numbers.
  package var byteCount: Int { n * d * size }
}

/// The best known method for each row, in bytes and operations.
///
/// A rule that decides on numbers about its vectors reads them twice: the decision needs all of them. What is done with n or
/// n² numbers (searches, scores, iterations) is not counted, so the floor of a small row is far below what it can take.
/// Numbers that are read twice within a block of columns that fits a cache are counted once.
package enum Floors {
  package typealias Method = @Sendable (Shape) -> Work

  // MARK: Parts

  /// `count` vectors added up with weights.
  private static func sum(_ count: Int, _ s: Shape) -> Work {
    Work(
      bytesRead: Double(count * s.d * s.size), bytesWritten: Double(s.d * s.size),
      multiplyAdds: Double(count * s.d))
  }

  /// The same after a pass over all vectors that decides on the weights.
  private static func sumAgain(_ count: Int, _ s: Shape) -> Work {
    var work = sum(count, s)
    (work.bytesRead, work.bytesReadAgain) = (0, work.bytesRead)
    return work
  }

  /// One pass over all vectors.
  private static func pass(_ s: Shape) -> Work { Work(bytesRead: Double(s.byteCount)) }

  /// All pairs, by subtracting: products of vectors far from zero lose the digits that rules decide on.
  private static func pairs(_ s: Shape) -> Work {
    pass(s) + Work(squaredDifferences: Double(s.n * (s.n - 1) / 2 * s.d))
  }

  /// All products of vectors minus their median.
  private static func gram(_ s: Shape) -> Work {
    pass(s)
      + Work(
        multiplyAdds: Double((s.n * (s.n + 1) / 2 + s.n) * s.d),
        minMax: Double(network(s.n, [(s.n - 1) / 2, s.n / 2]) * s.d))
  }

  /// ‖x‖² of all vectors.
  private static func norms(_ s: Shape) -> Work { pass(s) + Work(multiplyAdds: Double(s.n * s.d)) }

  /// Operations per column to find numbers of some ranks among n.
  private static func network(_ n: Int, _ ranks: some Sequence<Int>) -> Int {
    SortingNetwork(n).operations(for: ranks)
  }

  // MARK: Coordinates

  package static let mean: Method = { sum($0.n, $0) }

  package static let median: Method = { s in
    column(s, minMax: network(s.n, [(s.n - 1) / 2, s.n / 2]), multiplyAdds: 1)
  }

  /// Sort and add what is kept; or find the first and the last that are kept, clamp all to them, and add; or sort two halves, keep the
  /// larger of each of f pairs at their beginnings and the smaller of each of f at their ends, and add.
  package static func trimmedMean(f: Int) -> Method {
    { s in
      var operations = [
        network(s.n, f..<(s.n - f)), network(s.n, [f, s.n - 1 - f]) + 2 * s.n,
      ]
      if 2 * f <= s.n / 2 {
        let halves = [s.n / 2, s.n - s.n / 2].map { network($0, 0..<$0) }
        operations.append(halves[0] + halves[1] + 2 * f)
      }
      return column(s, minMax: operations.min() ?? 0, multiplyAdds: s.n - 2 * f)
    }
  }

  /// Sort; of each pair of values n - f apart keep the one nearer to the median; add.
  package static func meanAroundMedian(f: Int) -> Method {
    { s in
      column(s, minMax: network(s.n, 0..<s.n) + 2 * f, multiplyAdds: s.n + f)
    }
  }

  private static func column(_ s: Shape, minMax: Int, multiplyAdds: Int) -> Work {
    pass(s)
      + Work(
        bytesWritten: Double(s.d * s.size), multiplyAdds: Double(multiplyAdds * s.d),
        minMax: Double(minMax * s.d))
  }

  // MARK: Distances

  package static let distances: Method = { pairs($0) }

  /// Distances, then the mean of `count` vectors.
  package static func selection(of count: Int) -> Method { { pairs($0) + sumAgain(count, $0) } }

  /// Distances, then a mean around the median of the n - 2f vectors that were selected.
  package static func bulyan(f: Int) -> Method {
    { s in
      var second = meanAroundMedian(f: 2 * f)(Shape(n: s.n - 2 * f, d: s.d, size: s.size))
      (second.bytesRead, second.bytesReadAgain) = (0, second.bytesRead)
      return pairs(s) + second
    }
  }

  /// Products, then one weighted sum, however often the rule iterates.
  package static let iteration: Method = { gram($0) + sumAgain($0.n, $0) }

  package static func monna(f: Int) -> Method {
    { s in
      pass(s) + Work(squaredDifferences: Double(s.n * s.d)) + sumAgain(s.n - f, s)
    }
  }

  package static func cge(f: Int) -> Method { { norms($0) + sumAgain($0.n - f, $0) } }

  /// Distances; then one sum of the vectors that most outputs share, and about f corrections for each output.
  package static func nearestNeighborMixing(f: Int) -> Method {
    { s in
      pairs(s)
        + Work(
          bytesReadAgain: Double(s.byteCount), bytesWritten: Double(s.byteCount),
          multiplyAdds: Double((s.n * f + s.n - f) * s.d))
    }
  }

  // MARK: Whole matrices

  /// Each vector's norm, and the vector scaled while it is near.
  package static let clipping: Method = { s in
    norms(s) + Work(bytesWritten: Double(s.byteCount), multiplyAdds: Double(s.n * s.d))
  }

  /// Norms, then the longest vectors scaled; the others are passed on as they are.
  package static func arc(f: Int) -> Method {
    { s in
      let changed = 2 * f * (s.n - f) / s.n
      return norms(s)
        + Work(
          bytesReadAgain: Double(changed * s.d * s.size),
          bytesWritten: Double(changed * s.d * s.size),
          multiplyAdds: Double(changed * s.d))
    }
  }

  package static func bucketing(size: Int) -> Method {
    { s in
      pass(s)
        + Work(
          bytesWritten: Double((s.n + size - 1) / size * s.d * s.size),
          multiplyAdds: Double(s.n * s.d))
    }
  }

  // MARK: Attacks

  /// Mean and deviation of a column that is read once.
  package static let little: Method = { s in
    sum(s.n, s)
      + Work(squaredDifferences: Double(s.n * s.d), transcendentals: Double(s.d))
  }

  /// Box and Muller's method: half a logarithm and root and one sine or cosine for each number; Philox's ten rounds are 20
  /// products of 32 bits for four numbers, and as many operations to mix them.
  package static let gaussian: Method = { s in
    Work(
      bytesWritten: Double(s.d * s.size), multiplyAdds: Double(10 * s.d),
      transcendentals: Double(2 * s.d))
  }

  // MARK: Training

  /// Loss, gradient and update of the example's network on `images` images of 28×28.
  package static func trainingStep(images: Int) -> Work {
    // 1 → 32 channels forward and for its weights; 32 → 64 also for its input; two layers the same.
    let first = 2 * 28 * 28 * 9 * 32
    let second = 3 * 14 * 14 * 9 * 32 * 64
    let layers = 3 * (3136 * 128 + 128 * 10)
    let parameters = 421_642.0
    return Work(
      bytesRead: Double(images * 28 * 28 * 4) + 3 * 4 * parameters,
      bytesWritten: 2 * 4 * parameters,
      multiplyAdds: Double(images * (first + second + layers)) + parameters)
  }

  /// Ten gradients, three times their negative mean, Multi-Krum of the 13 and a step.
  package static func parameterServerRound(honest: Int, f: Int, q: Int, images: Int) -> Work {
    let d = 421_642
    let vectors = Shape(n: honest + f, d: d)
    let gradients = (0..<honest).reduce(Work()) { sum, _ in sum + trainingStep(images: images) }
    return gradients + sum(honest, Shape(n: honest, d: d)) + selection(of: q)(vectors)
  }
}
