import ByzKit
import Foundation

/// The sample statistics that bounds on random draws speak of.
struct Statistics {
  let mean: Double
  let deviation: Double
  /// The draws in ascending order.
  private let sorted: [Double]

  init(_ draws: [Double]) {
    let count = Double(draws.count)
    let mean = draws.reduce(0, +) / count
    self.mean = mean
    deviation = (draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count).squareRoot()
    sorted = draws.sorted()
  }

  /// The Kolmogorov-Smirnov distance to N(mean, deviation²): the greatest difference between the two distribution functions.
  func distanceToNormal(mean: Double, deviation: Double) -> Double {
    let count = Double(sorted.count)
    var greatest = 0.0
    for (i, draw) in sorted.enumerated() {
      let probability = 0.5 * erfc(-(draw - mean) / (deviation * 2.0.squareRoot()))
      greatest = max(
        greatest, probability - Double(i) / count, Double(i + 1) / count - probability)
    }
    return greatest
  }
}
