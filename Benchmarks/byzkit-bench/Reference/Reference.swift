import ByzKit

/// The rules, as their formulas say them, in double precision and without a thought for speed.
///
/// Nothing here is shared with what is measured. Inputs are finite.
enum Reference {
  static func mean(_ x: [[Double]]) -> [Double] {
    weightedSum(x, x.map { _ in 1 / Double(x.count) })
  }

  static func weightedSum(_ x: [[Double]], _ weights: [Double]) -> [Double] {
    var sum = [Double](repeating: 0, count: x[0].count)
    for (row, weight) in zip(x, weights) {
      for j in sum.indices { sum[j] += weight * row[j] }
    }
    return sum
  }

  static func mean(of indices: some Sequence<Int>, in x: [[Double]]) -> [[Double]] {
    [mean(indices.map { x[$0] })]
  }

  /// The `count` indices of smallest key, the lowest of equals.
  static func lowest(_ keys: [Double], _ count: Int) -> [Int] {
    Array(keys.indices.sorted { (keys[$0], $0) < (keys[$1], $1) }.prefix(count))
  }

  // MARK: Coordinates

  private static func perColumn(
    _ x: [[Double]], _ reduce: ([Double]) -> Double
  ) -> [[Double]] {
    [x[0].indices.map { j in reduce(x.map { $0[j] }) }]
  }

  private static func middle(_ sorted: [Double]) -> Double {
    (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  static func median(_ x: [[Double]]) -> [[Double]] { perColumn(x) { middle($0.sorted()) } }

  static func trimmedMean(_ x: [[Double]], f: Int) -> [[Double]] {
    perColumn(x) { column in
      column.sorted().dropFirst(f).dropLast(f).reduce(0, +) / Double(x.count - 2 * f)
    }
  }

  static func meanAroundMedian(_ x: [[Double]], f: Int) -> [[Double]] {
    perColumn(x) { column in
      let center = middle(column.sorted())
      let kept = lowest(column.map { abs($0 - center) }, x.count - f)
      return kept.reduce(0) { $0 + column[$1] } / Double(kept.count)
    }
  }

  // MARK: Norms

  static func norm(_ row: [Double]) -> Double { dot(row, row).squareRoot() }

  /// How far the rows lie from their mean: the root of the mean square over all numbers.
  static func deviation(_ rows: [[Double]]) -> Double {
    let mean = mean(rows)
    let squares = rows.map { row in zip(row, mean).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    }
    return (squares.reduce(0, +) / Double(rows.count * mean.count)).squareRoot()
  }

  static func dot(_ a: [Double], _ b: [Double]) -> Double {
    var sum = 0.0
    for j in a.indices { sum += a[j] * b[j] }
    return sum
  }

  static func cge(_ x: [[Double]], f: Int) -> [[Double]] {
    mean(of: lowest(x.map(norm), x.count - f), in: x)
  }

  static func clipping(_ x: [[Double]], threshold: Double) -> [[Double]] {
    x.map { row in
      let factor = min(1, threshold / norm(row))
      return row.map { $0 * factor }
    }
  }

  static func arc(_ x: [[Double]], f: Int) -> [[Double]] {
    let clipped = 2 * f * (x.count - f) / x.count
    return clipping(x, threshold: x.map(norm).sorted()[x.count - clipped - 1])
  }

  static func bucketing(_ x: [[Double]], order: [Int], size: Int) -> [[Double]] {
    stride(from: 0, to: order.count, by: size).map { start in
      mean(order[start..<min(start + size, order.count)].map { x[$0] })
    }
  }

  // MARK: Attacks

  static func empire(_ x: [[Double]]) -> [[Double]] { [mean(x).map { -$0 }] }

  static func little(_ x: [[Double]], f: Int) -> [[Double]] {
    let all = x.count + f
    let z = normalQuantile(Double(all - max(1, all / 2 + 1 - f)) / Double(all))
    return perColumn(x) { column in
      let mean = column.reduce(0, +) / Double(column.count)
      let square = column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
      return mean + z * (square / Double(column.count)).squareRoot()
    }
  }
}
