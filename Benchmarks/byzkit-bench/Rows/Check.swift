import Foundation

/// A plain computation: vectors in, vectors out.
typealias Compute = @Sendable ([[Double]]) -> [[Double]]

/// How the outputs of a row are checked, so that a wrong answer cannot be fast.
enum Check: Sendable {
  /// Against a plain computation in double precision: within `tolerance` of the smaller of how far the vectors lie from their mean and
  /// the result's largest number, and √n units in the last place of that number, for sums in single precision. Rules per coordinate may leave out columns: one of `every` is compared.
  case overall(tolerance: Double, every: Int = 1, Compute)
  /// The same, each number by itself.
  case each(tolerance: Double, Compute)
  /// Mean 0, deviation 1 and fourth moment 3, within five standard errors.
  case standardNormal

  /// The error of an output in units of the tolerance: above 1, or NaN, is wrong.
  func error(of output: Output, on input: Input) -> Double {
    switch self {
    case .overall(let tolerance, let step, let reference):
      let wide = input.wide(every: step)
      let expected = reference(wide)
      let largest = expected.joined().map(abs).max() ?? 0
      let allowed =
        tolerance * min(Reference.deviation(wide), largest)
        + Double(wide.count).squareRoot() * Double(Float(largest).ulp)
      return greatest(output.wide(every: step), expected) { error, _ in error / allowed }
    case .each(let tolerance, let reference):
      return greatest(output.wide(every: 1), reference(input.wide(every: 1))) { error, want in
        error == 0 ? 0 : error / (tolerance * abs(want))
      }
    case .standardNormal:
      let draws = output.wide(every: 1)[0]
      let count = Double(draws.count)
      let mean = draws.reduce(0, +) / count
      let variance = draws.reduce(0) { $0 + $1 * $1 } / count
      let fourth = draws.reduce(0) { $0 + $1 * $1 * $1 * $1 } / count
      let errors = [
        abs(mean) * count.squareRoot(), abs(variance - 1) * (count / 2).squareRoot(),
        abs(fourth - 3) * (count / 96).squareRoot(),
      ]
      return (errors.max() ?? 0) / 5
    }
  }

  private func greatest(
    _ output: [[Double]], _ expected: [[Double]], _ measure: (Double, Double) -> Double
  ) -> Double {
    guard output.map(\.count) == expected.map(\.count) else { return .infinity }
    var greatest = 0.0
    for (got, want) in zip(output.joined(), expected.joined()) {
      let error = measure(abs(got - want), want)
      // NaN stays.
      if !(error <= greatest) { greatest = error }
    }
    return greatest
  }
}

/// Why something could not be timed.
enum BenchmarkError: Error, CustomStringConvertible {
  case wrong(row: String, data: DataKind, error: Double)
  case differs(row: String, data: DataKind, way: Way)
  case server(String)
  case peer(String)

  var description: String {
    switch self {
    case .wrong(let row, let data, let error):
      "\(row), \(data.rawValue): the answer is wrong by \(error) times what is allowed"
    case .differs(let row, let data, let way):
      "\(row), \(data.rawValue): \(way.rawValue) gives other bits than the direct call"
    case .server(let message): "The server of the rows over TCP did not start: \(message)"
    case .peer(let message): message
    }
  }
}
