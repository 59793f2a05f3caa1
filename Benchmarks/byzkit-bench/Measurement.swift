import ByzKit

/// The times of one way to call a row's subject, and of the yardstick beside it.
struct Timing: Codable {
  let group: String
  let row: String
  let data: DataKind
  let way: Way
  let n: Int
  let d: Int
  let f: Int
  let runs: Int
  /// Of all calls, or with a limit in milliseconds of the calls on the slowest input.
  let medianMilliseconds: Double
  let minimumMilliseconds: Double
  let yardstick: Yardstick?
  let yardstickMilliseconds: Double?
  let limit: Limit?
  /// The greatest error against the plain computation, in units of what is allowed.
  let error: Double

  var ratio: Double? { yardstickMilliseconds.map { medianMilliseconds / $0 } }

  /// The share of the limit that is used; nil without one.
  var use: Double? {
    switch limit {
    case .ratio(let most): ratio.map { $0 / most }
    case .milliseconds(let most): medianMilliseconds / most
    case nil: nil
    }
  }
}

/// A row with its inputs, ready to be timed.
struct PreparedRow {
  private let row: Row
  private let inputs: [Input]
  private let calls: [(way: Way, call: Call)]
  private let yardstick: Call?
  private let errors: [Double]

  /// Makes the inputs, and checks what each way of calling gives for the first.
  init(_ row: Row, pool: ActorPool) async throws {
    self.row = row
    inputs = try (0..<row.inputs).map {
      try Input(row.data, n: row.n, d: row.d, f: row.f, seed: $0)
    }
    calls = try row.ways.map { way in
      guard let call = row.subject.call(way, pool: pool, d: row.d) else {
        throw BenchmarkError.noCall(row: row.name, way: way)
      }
      return (way, call)
    }
    yardstick = row.yardstick?.call(n: row.n, d: row.d)
    var outputs: [[[Double]]] = []
    for (_, call) in calls { outputs.append(try await call(inputs[0]).wide) }
    errors = row.check.errors(outputs, input: inputs[0].wide)
    for ((way, _), error) in zip(calls, errors) where !(error <= 1) {
      throw BenchmarkError.wrong(row: row.name, data: row.data, way: way, error: error)
    }
  }

  /// Times all ways of calling and the yardstick in turns, each at least `runs` times.
  ///
  /// Every call gets the input after the previous call's, so no one finds in the cache what another
  /// has just read.
  func measure(runs: Int) async throws -> [Timing] {
    let contestants = (yardstick.map { [$0] } ?? []) + calls.map(\.call)
    let rounds = (isPerInput ? runs : (runs + inputs.count - 1) / inputs.count) * inputs.count
    // Turns would visit only some pairs of contestant and input if the counts shared a factor.
    precondition(greatestCommonDivisor(contestants.count, inputs.count) == 1, row.name)
    var seconds = contestants.map { _ in inputs.map { _ in [Double]() } }
    let clock = ContinuousClock()
    for call in contestants { _ = try await call(inputs[0]) }
    var turn = 0
    for _ in 0..<rounds {
      for (number, call) in contestants.enumerated() {
        let index = turn % inputs.count
        turn += 1
        let start = clock.now
        _ = try await call(inputs[index])
        seconds[number][index].append((clock.now - start) / .seconds(1))
      }
    }
    let own = yardstick == nil ? seconds[...] : seconds.dropFirst()
    let beside = yardstick == nil ? nil : median(seconds[0].flatMap { $0 })
    return zip(zip(calls, errors), own).map { call, times in
      Timing(
        group: row.group, row: row.name, data: row.data, way: call.0.way, n: row.n, d: row.d,
        f: row.f, runs: rounds, medianMilliseconds: 1e3 * typical(times),
        minimumMilliseconds: 1e3 * (times.joined().min() ?? 0), yardstick: row.yardstick,
        yardstickMilliseconds: beside.map { 1e3 * $0 }, limit: row.limit, error: call.1)
    }
  }

  /// Whether every input has to keep the limit by itself.
  private var isPerInput: Bool {
    if case .milliseconds = row.limit { true } else { false }
  }

  private func typical(_ times: [[Double]]) -> Double {
    isPerInput ? times.map(median).max() ?? 0 : median(times.flatMap { $0 })
  }

  private func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  b == 0 ? a : greatestCommonDivisor(b, a % b)
}

extension Check {
  /// The error of each output in units of the tolerance: above 1, or NaN, is wrong.
  fileprivate func errors(_ outputs: [[[Double]]], input: [[Double]]) -> [Double] {
    switch self {
    case .overall(let tolerance, let reference):
      let expected = reference(input)
      let size = { (rows: [[Double]]) in rows.joined().map(abs).max() ?? 0 }
      let typical = Reference.norm(input[0]) / Double(input[0].count).squareRoot()
      let unit = max(size(expected), typical)
      return outputs.map { greatest($0, expected) { error, _ in error / (tolerance * unit) } }
    case .each(let tolerance, let reference):
      let expected = reference(input)
      return outputs.map {
        greatest($0, expected) { error, want in error == 0 ? 0 : error / (tolerance * abs(want)) }
      }
    case .standardNormal:
      return outputs.map { output in
        let draws = output[0]
        let count = Double(draws.count)
        let mean = draws.reduce(0, +) / count
        let variance = draws.reduce(0) { $0 + $1 * $1 } / count
        return max(abs(mean) * count.squareRoot(), abs(variance - 1) * (count / 2).squareRoot()) / 5
      }
    case .gradient(let tolerance):
      return outputs.map {
        ReferenceNetwork.error(loss: $0[0][0], gradient: $0[1], on: input) / tolerance
      }
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

/// Why a row could not be timed.
enum BenchmarkError: Error, CustomStringConvertible {
  case noCall(row: String, way: Way)
  case wrong(row: String, data: DataKind, way: Way, error: Double)
  case server(String)

  var description: String {
    switch self {
    case .noCall(let row, let way): "\(row) cannot be called this way: \(way.rawValue)"
    case .wrong(let row, let data, let way, let error):
      "\(row), \(data.rawValue), \(way.rawValue): the answer is wrong by \(error) times what is allowed"
    case .server(let message): "The server of the rows over TCP did not start: \(message)"
    }
  }
}
