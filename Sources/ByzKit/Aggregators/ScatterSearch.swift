/// Finds the `keep` of g vectors whose scatter has the smallest top eigenvalue, from their squared distances alone.
///
/// Fix the first vector p of a set and let `Y[i][j] = (D[p,i] + D[p,j] - D[i,j]) / 2` over the others. The scatter's top eigenvalue
/// is below t exactly when `t (I + 1 1ᵀ) - Y` is positive definite, which is when its Cholesky factor has positive pivots. The
/// factor's row of a vector does not depend on the vectors that come later, and its pivot only falls with every vector before it.
/// So the search extends the rows of all vectors that could still come by one entry at a time; a vector whose pivot is not positive
/// is out for good, and a set ends when too few are left to complete it.
struct ScatterSearch {
  private let g: Int
  private let keep: Int
  /// Squared distances, divided by the largest in the first `best`: beside a vector that is far away the squares of all others
  /// would vanish if it set the scale. Its own distances may be infinite, which rules it out.
  private let distances: [Double]
  private var steps: SearchSteps

  /// A set must stay below this to be better than the best so far.
  private var threshold = Double.infinity
  private var best: [Int]
  /// Counts the changes of `threshold`.
  private var version = 0
  /// How many vectors of `path` have rows made with this threshold.
  private var made = 0

  /// The set under construction, its first vector in front.
  private var path: [Int]
  /// `factor[k·g + c]`: entry k of the row of vector c, which belongs to `path[k + 1]`.
  private var factor: [Double]
  /// `pivots[k·g + c]`: the pivot of vector c after k entries.
  private var pivots: [Double]

  init(_ distances: [Double], count g: Int, keep: Int, limit: Int) {
    self.g = g
    self.keep = keep
    steps = SearchSteps(limit: limit)
    // A good set to begin with prunes most others: the vectors with the nearest neighbours.
    let reach = (0..<g).map { i in
      distances[(i * g)..<((i + 1) * g)].sorted().prefix(keep).reduce(0, +)
    }
    let start = (0..<g).lowestSet(keep) { reach[$0] }
    best = start
    var largest = 0.0
    for i in start { for k in start { largest = max(largest, distances[i * g + k]) } }
    let unit = largest > 0 && largest.isFinite ? largest : 1
    self.distances = distances.map { $0 / unit }
    path = [Int](repeating: 0, count: keep)
    factor = [Double](repeating: 0, count: keep * g)
    pivots = [Double](repeating: 0, count: keep * g)
  }

  private func distance(_ i: Int, _ j: Int) -> Double { distances[i * g + j] }

  /// The set, ascending.
  mutating func run() throws(SearchStop) -> [Int] {
    if let equal = firstEqualVectors() { return equal }
    // A little above it, so that an equal set with lower indices is still found.
    threshold = topEigenvalue(best) * (1 + 1e-9)
    for first in 0...(g - keep) {
      path[0] = first
      try complete(from: 1)
    }
    return best
  }

  /// The first `keep` vectors that are all equal, if there are so many: their scatter is zero.
  private func firstEqualVectors() -> [Int]? {
    for i in 0..<g {
      let equal = (i..<g).filter { distance(i, $0) == 0 }.prefix(keep)
      if equal.count == keep { return Array(equal) }
    }
    return nil
  }

  /// Tries all sets that continue the first `count` vectors of `path`.
  private mutating func complete(from count: Int) throws(SearchStop) {
    if count == keep {
      let eigenvalue = topEigenvalue(path)
      if eigenvalue < threshold {
        best = path
        threshold = eigenvalue * (1 - 1e-12)
        version += 1
        made = 0
      }
      return
    }
    var seen = version
    var left = extendRows(by: count - 1)
    made = count
    var next = path[count - 1] + 1
    while left >= keep - count {
      defer { next += 1 }
      guard pivots[(count - 1) * g + next] > 0 else { continue }
      try steps.take()
      left -= 1
      path[count] = next
      try complete(from: count + 1)
      if version != seen {
        seen = version
        while made < count {
          // With the lower threshold the path itself may be too wide; whoever shortens it comes here again.
          let k = made
          guard k == 0 || pivots[(k - 1) * g + path[k]] > 0, extendRows(by: k) >= keep - k - 1
          else { return }
          made += 1
        }
        left = (next + 1..<g).count { pivots[(count - 1) * g + $0] > 0 }
      }
    }
  }

  /// Adds to all rows after it the entry of `path[k]`, or begins the rows if it is the first; returns how many of them can still follow.
  ///
  /// Its own pivot must be positive.
  private mutating func extendRows(by k: Int) -> Int {
    let (g, t, first, last) = (g, threshold, path[0], path[k])
    return distances.withUnsafeBufferPointer { distances in
      factor.withUnsafeMutableBufferPointer { factor in
        pivots.withUnsafeMutableBufferPointer { pivots in
          let toFirst = distances.baseAddress! + first * g
          let pivot = pivots.baseAddress! + k * g
          var count = 0
          guard k > 0 else {
            for c in (last + 1)..<g {
              pivot[c] = 2 * t - toFirst[c]
              count += pivot[c] > 0 ? 1 : 0
            }
            return count
          }
          let toLast = distances.baseAddress! + last * g
          let entry = factor.baseAddress! + (k - 1) * g
          for c in (last + 1)..<g { entry[c] = t - (toFirst[c] + toFirst[last] - toLast[c]) / 2 }
          for j in 0..<(k - 1) {
            let row = factor.baseAddress! + j * g
            let scale = row[last]
            for c in (last + 1)..<g { entry[c] -= scale * row[c] }
          }
          let before = pivot - g
          let scale = 1 / before[last].squareRoot()
          for c in (last + 1)..<g {
            entry[c] *= scale
            pivot[c] = before[c] - entry[c] * entry[c]
            count += pivot[c] > 0 ? 1 : 0
          }
          return count
        }
      }
    }
  }

  /// The top eigenvalue of the scatter of a set: that of `-½ J D J` for the centring matrix J.
  private func topEigenvalue(_ set: [Int]) -> Double {
    let m = set.count
    let means = set.map { i in set.reduce(0) { $0 + distance(i, $1) } / Double(m) }
    let mean = means.reduce(0, +) / Double(m)
    var matrix = [Double](repeating: 0, count: m * m)
    for (a, i) in set.enumerated() {
      for (b, j) in set.enumerated() {
        matrix[a * m + b] = (means[a] + means[b] - mean - distance(i, j)) / 2
      }
    }
    return Tridiagonal(matrix, count: m).largestEigenvalue()
  }
}
