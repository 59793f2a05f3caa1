/// Something to be timed in turn with others.
struct RuntimeContestant {
  let row: String
  let backend: String
  /// How often it is called in one turn.
  var callsPerTurn = 1
  /// What one call does, in units of ``unit``, and that unit per second.
  var work = 1.0
  var unit = "calls/s"
  /// Whether a call stands for many, whose single times are not known.
  var isBatch = false
  var limit: RuntimeLimit?
  let call: () async throws -> Void

  /// Times all of them in turns, so that noise hits each alike.
  static func measure(_ contestants: [RuntimeContestant], rounds: Int) async throws
    -> [RuntimeFigure]
  {
    var microseconds = contestants.map { _ in [Double]() }
    let clock = ContinuousClock()
    // The first round is not counted: memory is touched, and code loaded, for the first time.
    for round in 0...rounds {
      for (index, contestant) in contestants.enumerated() {
        for _ in 0..<contestant.callsPerTurn {
          let start = clock.now
          try await contestant.call()
          let time = (clock.now - start) / .microseconds(1)
          if round > 0 { microseconds[index].append(time) }
        }
      }
    }
    return zip(contestants, microseconds).map { RuntimeFigure($0, times: $1) }
  }
}

/// What a row promises.
enum RuntimeLimit: Codable {
  /// The median is no more than so many microseconds.
  case p50(Double)
  /// The rate is no less.
  case rate(Double)
  /// The amount is no more.
  case most(Double)
}

/// What was found about one row.
struct RuntimeFigure: Codable {
  let row: String
  let backend: String
  /// The number of times.
  let count: Int
  /// Microseconds; nil where single calls were not timed.
  let p50: Double?
  let p99: Double?
  /// At the median: calls, gigabytes or others a second; or an amount.
  let rate: Double?
  let unit: String
  let limit: RuntimeLimit?

  init(_ contestant: RuntimeContestant, times: [Double]) {
    let sorted = times.sorted()
    let median = sorted[sorted.count / 2]
    row = contestant.row
    backend = contestant.backend
    count = sorted.count
    p50 = contestant.isBatch ? nil : median
    p99 = contestant.isBatch ? nil : sorted[(sorted.count * 99) / 100]
    rate = contestant.work * 1e6 / median
    unit = contestant.unit
    limit = contestant.limit
  }

  init(
    row: String, backend: String, count: Int, p50: Double? = nil, p99: Double? = nil,
    rate: Double? = nil, unit: String = "", limit: RuntimeLimit? = nil
  ) {
    self.row = row
    self.backend = backend
    self.count = count
    self.p50 = p50
    self.p99 = p99
    self.rate = rate
    self.unit = unit
    self.limit = limit
  }

  /// Whether the limit is kept; nil without one.
  var isKept: Bool? {
    switch limit {
    case .p50(let most): p50.map { $0 <= most }
    case .rate(let least): rate.map { $0 >= least }
    case .most(let most): rate.map { $0 <= most }
    case nil: nil
    }
  }
}
