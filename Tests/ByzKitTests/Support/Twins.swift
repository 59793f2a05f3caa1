/// The rules once more, in double precision and in the simplest way: by their definitions, in d dimensions, subsets one by one.
///
/// A twin takes vectors that its rule accepts; what the rule must refuse is tested elsewhere.
enum Twin {
  typealias Rows = [[Double]]

  // MARK: Arithmetic

  static func isFinite(_ x: [Double]) -> Bool { x.allSatisfy(\.isFinite) }

  static func weighted(_ rows: Rows, _ weights: [Double]) -> [Double] {
    rows[0].indices.map { j in
      rows.indices.reduce(0) { weights[$1] == 0 ? $0 : $0 + weights[$1] * rows[$1][j] }
    }
  }

  static func mean(_ rows: Rows) -> [Double] {
    rows[0].indices.map { j in rows.reduce(0) { $0 + $1[j] } / Double(rows.count) }
  }

  static func subtract(_ x: [Double], _ y: [Double]) -> [Double] { zip(x, y).map { $0 - $1 } }

  static func dot(_ x: [Double], _ y: [Double]) -> Double {
    zip(x, y).reduce(0) { $0 + $1.0 * $1.1 }
  }

  static func norm(_ x: [Double]) -> Double { isFinite(x) ? dot(x, x).squareRoot() : .infinity }

  /// Squared; infinite if one of the two is not finite.
  static func distance(_ x: [Double], _ y: [Double]) -> Double {
    guard isFinite(x), isFinite(y) else { return .infinity }
    let difference = subtract(x, y)
    return dot(difference, difference)
  }

  /// The k indices of smallest key; ties to the lowest index.
  static func lowest(_ k: Int, of keys: [Double]) -> [Int] {
    Array(keys.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }.prefix(k))
  }

  static func mean(_ rows: Rows, of indices: [Int]) -> [Double] {
    mean(indices.sorted().map { rows[$0] })
  }

  /// All sets of k of 0..<n, in lexicographic order.
  static func subsets(_ n: Int, _ k: Int, from start: Int = 0) -> [[Int]] {
    guard k > 0 else { return [[]] }
    guard start <= n - k else { return [] }
    return (start...n - k).flatMap { i in subsets(n, k - 1, from: i + 1).map { [i] + $0 } }
  }

  /// One column, NaN as +∞, ascending.
  static func sorted(_ rows: Rows, _ j: Int) -> [Double] {
    rows.map { $0[j].isNaN ? .infinity : $0[j] }.sorted()
  }

  // MARK: Coordinate by coordinate

  static func median(_ rows: Rows, lower: Bool = false) -> [Double] {
    rows[0].indices.map { j in
      let s = sorted(rows, j)
      let (a, b) = (s[(s.count - 1) / 2], s[s.count / 2])
      return lower ? a : a == b ? a : a / 2 + b / 2
    }
  }

  static func trimmedMean(_ rows: Rows, f: Int) -> [Double] {
    rows[0].indices.map { j in
      let kept = sorted(rows, j).dropFirst(f).dropLast(f)
      return kept.reduce(0, +) / Double(kept.count)
    }
  }

  static func meanAroundMedian(_ rows: Rows, f: Int) -> [Double] {
    let centre = median(rows)
    return rows[0].indices.map { j in
      let gaps = rows.map { $0[j].isFinite ? abs($0[j] - centre[j]) : .infinity }
      return lowest(rows.count - f, of: gaps).reduce(0) { $0 + rows[$1][j] }
        / Double(rows.count - f)
    }
  }

  // MARK: By distances

  static func krumScores(_ rows: Rows, neighbors: Int) -> [Double] {
    rows.indices.map { i in
      rows.indices.filter { $0 != i }.map { distance(rows[i], rows[$0]) }.sorted().prefix(neighbors)
        .reduce(0, +)
    }
  }

  static func multiKrum(_ rows: Rows, f: Int, q: Int, neighbors: Int? = nil) -> [Double] {
    mean(rows, of: lowest(q, of: krumScores(rows, neighbors: neighbors ?? rows.count - f - 1)))
  }

  static func bulyan(_ rows: Rows, f: Int) -> [Double] {
    var left = Array(rows.indices)
    var chosen: [Int] = []
    for _ in 0..<rows.count - 2 * f {
      let best = lowest(1, of: krumScores(left.map { rows[$0] }, neighbors: left.count - f - 1))[0]
      chosen.append(left.remove(at: best))
    }
    return meanAroundMedian(chosen.sorted().map { rows[$0] }, f: 2 * f)
  }

  static func mda(_ rows: Rows, f: Int) -> [Double] {
    let d = rows.map { x in rows.map { distance(x, $0) } }
    let diameters = subsets(rows.count, rows.count - f).map { set in
      (set, set.reduce(0) { sum, i in set.reduce(sum) { max($0, d[i][$1]) } })
    }
    return mean(rows, of: diameters.reduce(diameters[0]) { $1.1 < $0.1 ? $1 : $0 }.0)
  }

  static func smea(_ rows: Rows, f: Int) -> [Double] {
    let good = rows.filter(isFinite)
    var (least, best) = (Double.infinity, good)
    for set in subsets(good.count, rows.count - f) {
      let members = set.map { good[$0] }
      let centre = mean(members)
      let offsets = members.map { subtract($0, centre) }
      let λ = topEigenpair(offsets.map { x in offsets.map { dot(x, $0) } }).value
      if least == .infinity || λ < least * (1 - 1e-12) { (least, best) = (λ, members) }
    }
    return mean(best)
  }

  static func moNNA(_ rows: Rows, f: Int, reference: Int) -> [Double] {
    mean(rows, of: lowest(rows.count - f, of: rows.map { distance($0, rows[reference]) }))
  }

  static func cge(_ rows: Rows, f: Int) -> [Double] {
    mean(rows, of: lowest(rows.count - f, of: rows.map(norm)))
  }

  // MARK: By iteration

  static func geometricMedian(_ rows: Rows) -> [Double] {
    let good = rows.filter(isFinite)
    let shift = median(good)
    let centred = good.map { subtract($0, shift) }
    let norms = centred.map(norm).sorted()
    let scale = norms[norms.count / 2] > 0 ? norms[norms.count / 2] : norms[norms.count - 1]
    guard scale > 0 else { return shift }
    let points = centred.map { $0.map { $0 / scale } }
    let back = { (y: [Double]) in zip(y, shift).map { $0 * scale + $1 } }
    // The sum of the unit vectors towards the points, the sum of 1/distance, and the number of points at y itself.
    func pull(_ y: [Double]) -> (force: [Double], rate: Double, met: Int) {
      var (force, rate, met) = (y.map { _ in 0.0 }, 0.0, 0)
      for p in points {
        let offset = subtract(p, y)
        let length = norm(offset)
        if length == 0 {
          met += 1
          continue
        }
        rate += 1 / length
        for j in force.indices { force[j] += offset[j] / length }
      }
      return (force, rate, met)
    }
    for p in points {
      let (force, _, met) = pull(p)
      if norm(force) < Double(met) - 1e-9 { return back(p) }
    }
    var y = shift.map { _ in 0.0 }
    for _ in 0..<20_000 {
      let (force, rate, met) = pull(y)
      let strength = norm(force)
      guard strength > Double(met), rate > 0 else { break }
      let factor = (1 - Double(met) / strength) / rate
      let step = force.map { $0 * factor }
      y = zip(y, step).map { $0 + $1 }
      if norm(step) <= 2e-15 { break }
    }
    return back(y)
  }

  static func centeredClipping(_ rows: Rows, tau: Double, iterations: Int, start: [Double])
    -> [Double]
  {
    var v = start
    for _ in 0..<iterations {
      var move = v.map { _ in 0.0 }
      for x in rows where isFinite(x) {
        let offset = subtract(x, v)
        let length = norm(offset)
        let factor = length > tau ? tau / length : 1
        for j in v.indices { move[j] += factor * offset[j] / Double(rows.count) }
      }
      v = zip(v, move).map { $0 + $1 }
    }
    return v
  }

  static func caf(_ rows: Rows, f: Int) -> [Double] {
    let good = rows.filter(isFinite)
    var c = good.map { _ in 1.0 }
    var (least, kept) = (Double.infinity, mean(good))
    while c.reduce(0, +) > Double(rows.count - 2 * f) {
      let sum = c.reduce(0, +)
      let μ = weighted(good, c.map { $0 / sum })
      let offsets = good.map { subtract($0, μ) }
      let scaled = zip(offsets, c).map { x, c in x.map { $0 * c.squareRoot() } }
      let (λ, u) = topEigenpair(scaled.map { x in scaled.map { dot(x, $0) } })
      if λ / sum < least { (least, kept) = (λ / sum, μ) }
      // v is proportional to Σ uᵢ√cᵢ(xᵢ - μ).
      let v = weighted(scaled, u)
      let τ = offsets.map { dot($0, v) * dot($0, v) }
      let top = zip(τ, c).filter { $0.1 > 0 }.map(\.0).max() ?? 0
      let size = zip(offsets, c).filter { $0.1 > 0 }.map { dot($0.0, $0.0) }.max() ?? 0
      guard top > 0, λ / sum > 1e-26 * size else { break }
      c = zip(c, τ).map { $0 * min(max(1 - $1 / top, 0), 1) }
    }
    return kept
  }

  // MARK: Many vectors out

  static func clipping(_ rows: Rows, threshold: Double) -> Rows {
    rows.map { x in
      let length = norm(x)
      return length.isInfinite
        ? x.map { _ in 0 } : length > threshold ? x.map { $0 * threshold / length } : x
    }
  }

  static func arc(_ rows: Rows, f: Int) -> Rows {
    let k = 2 * f * (rows.count - f) / rows.count
    return clipping(rows, threshold: rows.map(norm).sorted()[rows.count - k - 1])
  }

  static func bucketing(_ rows: Rows, size: Int, order: [Int]) -> Rows {
    stride(from: 0, to: rows.count, by: size).map { start in
      mean(order[start..<min(start + size, rows.count)].map { rows[$0] })
    }
  }

  static func nearestNeighborMixing(_ rows: Rows, f: Int) -> Rows {
    rows.map { x in
      isFinite(x)
        ? mean(rows, of: lowest(rows.count - f, of: rows.map { distance(x, $0) }))
        : x.map { _ in .nan }
    }
  }

  static func meanPlusDeviation(_ rows: Rows, factor: Double, correction: Int) -> [Double] {
    let μ = mean(rows)
    return μ.indices.map { j in
      let squares = rows.reduce(0) { $0 + ($1[j] - μ[j]) * ($1[j] - μ[j]) }
      return μ[j] + factor * (squares / Double(rows.count - correction)).squareRoot()
    }
  }
}
