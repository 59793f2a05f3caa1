import Foundation

/// What the calls of one contestant took, in seconds, for each input.
package struct Times: Hashable, Sendable {
  package var perInput: [[Double]]

  package init(perInput: [[Double]]) { self.perInput = perInput }

  package var isEmpty: Bool { perInput.allSatisfy(\.isEmpty) }
  package var count: Int { perInput.reduce(0) { $0 + $1.count } }
  package var minimum: Double { perInput.joined().min() ?? .nan }

  /// Of all calls; with `slowestInput` the largest of the inputs' own medians.
  package func median(slowestInput: Bool = false) -> Double {
    if slowestInput { return perInput.filter { !$0.isEmpty }.map(Self.median).max() ?? .nan }
    return Self.median(Array(perInput.joined()))
  }

  package static func median(_ values: [Double]) -> Double {
    guard !values.isEmpty else { return .nan }
    let sorted = values.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}

/// The middle and the best time of one contestant, in seconds.
package struct Timing: Hashable, Sendable {
  package var median: Double
  package var minimum: Double

  package init(median: Double, minimum: Double) {
    self.median = median
    self.minimum = minimum
  }

  package init(_ times: Times, slowestInput: Bool = false) {
    median = times.median(slowestInput: slowestInput)
    minimum = times.minimum
  }
}

extension Sequence<Double> {
  /// exp of the mean of the logarithms.
  package var geometricMean: Double {
    var (sum, count) = (0.0, 0)
    for value in self {
      sum += Foundation.log(value)
      count += 1
    }
    return count == 0 ? .nan : Foundation.exp(sum / Double(count))
  }
}
