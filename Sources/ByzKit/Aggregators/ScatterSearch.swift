/// Finds the `keep` of g vectors whose scatter has the smallest top eigenvalue, from their squared distances alone.
///
/// Fix the first vector p of a set and let `Y[i][j] = (D[p,i] + D[p,j] - D[i,j]) / 2` over the others. The scatter's top eigenvalue
/// is below t exactly when `t (I + 1 1ᵀ) - Y` is positive definite. Its entries do not depend on the vectors that come later,
/// so a further vector appends one row to its Cholesky factor, and a pivot that is not positive prunes every larger set.
struct ScatterSearch {
  private let g: Int
  private let keep: Int
  private let limit: Int
  /// Squared distances, divided by the largest in the first `best`: beside a vector that is far away the squares of all others
  /// would vanish if it set the scale. Its own distances may be infinite, which prunes it.
  private let distances: [Double]
  private var steps = 0

  /// A set must stay below this to be better than the best so far.
  private var threshold = Double.infinity
  private var best: [Int]
  /// Counts the changes of `threshold`: factors made before one must be made again.
  private var version = 0

  /// The set under construction without its first vector, and the Cholesky rows that belong to it; the diagonal is inverted.
  private var path: [Int]
  private var factor: [Double]

  init(_ distances: [[Double]], keep: Int, limit: Int) {
    g = distances.count
    self.keep = keep
    self.limit = limit
    // A good set to begin with prunes most others: the vectors with the nearest neighbours.
    let reach = distances.map { $0.sorted().prefix(keep).reduce(0, +) }
    let start = (0..<g).lowest(keep) { reach[$0] }.sorted()
    best = start
    let largest = start.flatMap { i in start.map { distances[i][$0] } }.max() ?? 0
    let unit = largest > 0 && largest.isFinite ? largest : 1
    self.distances = distances.flatMap { $0.map { $0 / unit } }
    path = [Int](repeating: 0, count: keep)
    factor = [Double](repeating: 0, count: keep * keep)
  }

  private func distance(_ i: Int, _ j: Int) -> Double { distances[i * g + j] }

  /// The set, ascending; nil if the limit was reached.
  mutating func run() -> [Int]? {
    if let equal = firstEqualVectors() { return equal }
    // A little above it, so that an equal set with lower indices is still found.
    threshold = topEigenvalue(best) * (1 + 1e-9)
    for first in 0...(g - keep) {
      guard extend(first, count: 0, from: first + 1) else { return nil }
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

  /// Tries all sets that continue the first `count` vectors of `path`; false if the limit was reached.
  private mutating func extend(_ first: Int, count: Int, from start: Int) -> Bool {
    if count == keep - 1 {
      let set = [first] + path.prefix(count)
      let eigenvalue = topEigenvalue(set)
      if eigenvalue < threshold {
        best = set
        threshold = eigenvalue * (1 - 1e-12)
        version += 1
      }
      return true
    }
    var seen = version
    for next in stride(from: start, through: g - (keep - 1 - count), by: 1) {
      steps += 1
      if steps > limit { return false }
      guard append(next, at: count, first: first) else { continue }
      path[count] = next
      guard extend(first, count: count + 1, from: next + 1) else { return false }
      if version != seen {
        seen = version
        for k in 0..<count where !append(path[k], at: k, first: first) { return true }
      }
    }
    return true
  }

  /// Appends a vector's row to the factor at position `k`; false if no set that contains these vectors can be better.
  private mutating func append(_ next: Int, at k: Int, first: Int) -> Bool {
    let (t, toNext, width) = (threshold, distance(first, next), keep)
    return distances.withUnsafeBufferPointer { distances in
      factor.withUnsafeMutableBufferPointer { factor in
        path.withUnsafeBufferPointer { path in
          let row = factor.baseAddress! + k * width
          var pivot = 2 * t - toNext
          for j in 0..<k {
            let other = path[j]
            let y = (distances[first * g + other] + toNext - distances[other * g + next]) / 2
            var value = t - y
            let earlier = factor.baseAddress! + j * width
            for i in 0..<j { value -= row[i] * earlier[i] }
            value *= earlier[j]
            row[j] = value
            pivot -= value * value
          }
          guard pivot > 0 else { return false }
          row[k] = 1 / pivot.squareRoot()
          return true
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
