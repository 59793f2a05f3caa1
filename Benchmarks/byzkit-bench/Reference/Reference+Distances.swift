import Foundation

// Rules that look at distances, one vector after another.
extension Reference {
  static func squaredDistance(_ a: [Double], _ b: [Double]) -> Double {
    var sum = 0.0
    for j in a.indices {
      let difference = a[j] - b[j]
      sum += difference * difference
    }
    return sum
  }

  static func squaredDistances(_ x: [[Double]]) -> [[Double]] {
    var distances = x.map { _ in [Double](repeating: 0, count: x.count) }
    for i in x.indices {
      for k in 0..<i {
        distances[i][k] = squaredDistance(x[i], x[k])
        distances[k][i] = distances[i][k]
      }
    }
    return distances
  }

  private static func krum(_ distances: [[Double]], among left: [Int], f: Int) -> [Double] {
    left.map { i in
      left.filter { $0 != i }.map { distances[i][$0] }.sorted()
        .prefix(left.count - f - 1).reduce(0, +)
    }
  }

  static func multiKrum(_ x: [[Double]], f: Int, q: Int) -> [[Double]] {
    mean(of: lowest(krum(squaredDistances(x), among: Array(x.indices), f: f), q), in: x)
  }

  static func bulyan(_ x: [[Double]], f: Int) -> [[Double]] {
    let distances = squaredDistances(x)
    var left = Array(x.indices)
    var chosen: [Int] = []
    for _ in 0..<(x.count - 2 * f) {
      chosen.append(left.remove(at: lowest(krum(distances, among: left, f: f), 1)[0]))
    }
    return meanAroundMedian(chosen.sorted().map { x[$0] }, f: 2 * f)
  }

  static func moNNA(_ x: [[Double]], f: Int) -> [[Double]] {
    mean(of: lowest(x.map { squaredDistance($0, x[0]) }, x.count - f), in: x)
  }

  static func nearestNeighborMixing(_ x: [[Double]], f: Int) -> [[Double]] {
    squaredDistances(x).map { row in mean(lowest(row, x.count - f).map { x[$0] }) }
  }

  /// Weiszfeld's iteration in d coordinates, from the median. No vector of the inputs used is the
  /// minimiser.
  static func geometricMedian(_ x: [[Double]]) -> [[Double]] {
    var center = median(x)[0]
    for _ in 0..<200 {
      let weights = x.map { 1 / squaredDistance($0, center).squareRoot() }
      let sum = weights.reduce(0, +)
      let next = weightedSum(x, weights.map { $0 / sum })
      let step = squaredDistance(next, center).squareRoot()
      center = next
      if step < 1e-9 * norm(center) { break }
    }
    return [center]
  }

  static func centeredClipping(_ x: [[Double]], tau: Double, iterations: Int) -> [[Double]] {
    var center = mean(x)
    for _ in 0..<iterations {
      let shares = x.map {
        min(1, tau / squaredDistance($0, center).squareRoot()) / Double(x.count)
      }
      let kept = 1 - shares.reduce(0, +)
      center = zip(center, weightedSum(x, shares)).map { kept * $0 + $1 }
    }
    return [center]
  }

  /// x for which the standard normal distribution function is p, by bisection.
  static func normalQuantile(_ p: Double) -> Double {
    var (low, high) = (-40.0, 40.0)
    for _ in 0..<200 {
      let middle = (low + high) / 2
      if erfc(-middle / 2.0.squareRoot()) / 2 < p { low = middle } else { high = middle }
    }
    return low
  }
}
