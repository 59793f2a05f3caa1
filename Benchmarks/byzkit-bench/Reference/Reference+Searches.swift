// Rules that search for a set of vectors or for a direction.
extension Reference {
  // MARK: Minimum diameter

  /// The lexicographically smallest set of n - f vectors of smallest diameter.
  ///
  /// Of two vectors that are too far apart one must go: that makes at most 2^f sets to try for each
  /// diameter.
  static func mda(_ x: [[Double]], f: Int) -> [[Double]] {
    let distances = squaredDistances(x)
    let levels = Set(distances.joined()).sorted()
    let level = levels.first { isPossible(Array(x.indices), 0, distances, $0, f) } ?? .infinity
    var left = Array(x.indices)
    var spare = f
    for i in x.indices {
      guard left.contains(i) else { continue }
      let near = left.filter { distances[i][$0] <= level }
      let cost = left.count - near.count
      if cost <= spare, isPossible(near, 0, distances, level, spare - cost) {
        (left, spare) = (near, spare - cost)
      } else {
        left.removeAll { $0 == i }
        spare -= 1
      }
      if left.count == x.count - f { break }
    }
    return mean(of: left.prefix(x.count - f), in: x)
  }

  private static func isPossible(
    _ left: [Int], _ start: Int, _ distances: [[Double]], _ level: Double, _ spare: Int
  ) -> Bool {
    for a in start..<max(start, left.count) {
      guard let b = left.indices.first(where: { $0 > a && distances[left[a]][left[$0]] > level })
      else { continue }
      guard spare > 0 else { return false }
      return [a, b].contains { gone in
        var rest = left
        rest.remove(at: gone)
        return isPossible(rest, a, distances, level, spare - 1)
      }
    }
    return true
  }

  // MARK: Smallest largest eigenvalue

  /// Of all sets of n - f vectors the one whose scatter has the smallest top eigenvalue.
  static func smea(_ x: [[Double]], f: Int) -> [[Double]] {
    let distances = squaredDistances(x)
    var best = (eigenvalue: Double.infinity, set: [Int]())
    func extend(_ set: [Int], from start: Int) {
      if set.count == x.count - f {
        let weights = set.map { _ in 1 / Double(set.count) }
        let top = topEigenpair(scatter(set.map { i in set.map { distances[i][$0] } }, weights)).0
        if top < best.eigenvalue { best = (top, set) }
      } else {
        for i in start..<max(start, x.count) { extend(set + [i], from: i + 1) }
      }
    }
    extend([], from: 0)
    return mean(of: best.set, in: x)
  }

  /// ⟨xᵢ - μ, xₖ - μ⟩ for the weighted mean μ, from squared distances.
  private static func scatter(_ distances: [[Double]], _ weights: [Double]) -> [[Double]] {
    let toMean = distances.map { dot($0, weights) }
    let spread = dot(toMean, weights)
    return distances.indices.map { i in
      distances.indices.map { (toMean[i] + toMean[$0] - distances[i][$0] - spread) / 2 }
    }
  }

  /// The largest eigenvalue and its unit vector, by Jacobi's rotations.
  private static func topEigenpair(_ matrix: [[Double]]) -> (Double, [Double]) {
    var a = matrix
    let m = a.count
    var vectors = (0..<m).map { i in (0..<m).map { $0 == i ? 1.0 : 0.0 } }
    for _ in 0..<50 {
      var off = 0.0
      for p in 0..<m {
        for q in (p + 1)..<max(p + 1, m) { off += a[p][q] * a[p][q] }
      }
      if off <= 1e-28 * a.joined().reduce(0, { $0 + $1 * $1 }) { break }
      for p in 0..<m {
        for q in (p + 1)..<max(p + 1, m) where a[p][q] != 0 {
          let angle = (a[q][q] - a[p][p]) / (2 * a[p][q])
          let t = (angle < 0 ? -1 : 1) / (abs(angle) + (angle * angle + 1).squareRoot())
          let c = 1 / (t * t + 1).squareRoot()
          let s = t * c
          for k in 0..<m {
            (a[k][p], a[k][q]) = (c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q])
          }
          for k in 0..<m {
            (a[p][k], a[q][k]) = (c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k])
          }
          // Row p of `vectors` is the vector that belongs to a[p][p].
          for k in 0..<m {
            (vectors[p][k], vectors[q][k]) =
              (c * vectors[p][k] - s * vectors[q][k], s * vectors[p][k] + c * vectors[q][k])
          }
        }
      }
    }
    let top = (0..<m).max { a[$0][$0] < a[$1][$1] } ?? 0
    return (a[top][top], vectors[top])
  }

  // MARK: Filtering

  static func caf(_ x: [[Double]], f: Int) -> [[Double]] {
    let distances = squaredDistances(x)
    var c = x.map { _ in 1.0 }
    var (smallest, kept) = (Double.infinity, c)
    while c.reduce(0, +) > Double(x.count - 2 * f) {
      let sum = c.reduce(0, +)
      let weights = c.map { $0 / sum }
      let products = scatter(distances, weights)
      let roots = weights.map { $0.squareRoot() }
      let (top, u) = topEigenpair(
        x.indices.map { i in x.indices.map { roots[i] * roots[$0] * products[i][$0] } })
      if top < smallest { (smallest, kept) = (top, weights) }
      let direction = zip(roots, u).map(*)
      let reach = products.map { dot($0, direction) * dot($0, direction) }
      let longest = x.indices.filter { c[$0] > 0 }.map { reach[$0] }.max() ?? 0
      if longest == 0 { break }
      for i in x.indices { c[i] *= max(0, 1 - reach[i] / longest) }
    }
    return [weightedSum(x, kept)]
  }
}
