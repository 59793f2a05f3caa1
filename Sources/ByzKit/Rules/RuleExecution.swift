// How a rule runs: measure, decide, combine. One definition; the direct call does the subtasks in order, a pool deals them out.

/// Measures some columns in parts; one row of numbers for each part.
struct MeasureSubtask: FootprintSubtask {
  let measurement: Measurement
  let range: Range<Int>
  /// The columns of each part but the last.
  let part: Int
  /// The number of rows that take part in the centre.
  let centred: Int

  var columns: Range<Int>? { range }
  var partCount: Int { (range.count - 1) / part + 1 }

  func moved() -> MeasureSubtask {
    MeasureSubtask(measurement: measurement, range: 0..<range.count, part: part, centred: centred)
  }

  func check(_ operands: Operands, limits: WireLimits) throws {
    guard let rows = operands.rows, !range.isEmpty, range.lowerBound >= 0,
      range.upperBound <= rows.columns, range.lowerBound % Rows.blockColumns == 0,
      part > 0, part % Rows.blockColumns == 0,
      measurement.fits(rows: rows.count, centred: centred, hasZeros: rows.pointers.contains(nil)),
      // What comes out travels in one message.
      partCount <= limits.message / 8 / measurement.count(n: rows.count)
    else { throw AggregationError.noVectors }
  }

  func run(_ operands: Operands) throws -> Tensor<Double> {
    guard let rows = operands.rows else { throw AggregationError.noVectors }
    return try rows.measureParts(measurement, columns: range, of: part, centredOn: centred)
  }
}

/// Applies a decision to some columns.
struct CombineSubtask: FootprintSubtask {
  let combination: Combination
  let range: Range<Int>

  var columns: Range<Int>? { range }

  func moved() -> CombineSubtask {
    CombineSubtask(combination: combination, range: 0..<range.count)
  }

  func check(_ operands: Operands, limits: WireLimits) throws {
    guard let rows = operands.rows, let outputs = operands.outputs,
      combination.fits(rows: rows, outputs: outputs), range == 0..<outputs.columns,
      outputs.columns == rows.columns
    else { throw AggregationError.noVectors }
  }

  func run(_ operands: Operands) -> Bool {
    guard let rows = operands.rows, let outputs = operands.outputs else { return false }
    combination.apply(to: rows, columns: range, into: outputs, isLarge: rows.isLarge)
    return true
  }
}

extension Measurement {
  /// How many columns each part of it has but the last. The parts are added in order, so this fixes the bits: it depends on the
  /// shape alone.
  func partLength(_ rows: Rows) -> Int {
    let block = Rows.blockColumns
    let blocks = (rows.columns + block - 1) / block
    // At most 32 parts, fewer where a part is a large matrix: together they stay below 16 MiB or are four. More of what would not fit a
    // message otherwise.
    let parts = min(32, max(4, (2 << 20) / count(n: rows.count)))
    let rowBytes = rows.count * rows.elementType.byteCount
    let most = max(1, OperatorContext.bytesOfSubtask / (rowBytes * block))
    return max(1, min(most, (blocks + parts - 1) / parts)) * block
  }
}

/// One rule, already validated, about to run on its rows.
struct RuleRun {
  let rule: any Rule
  /// The input and the rule's extra vector, if it has one.
  let rows: Rows
  /// n: the rows without the extra one.
  let n: Int
  /// Whether the rows that this run is a part of are larger than most caches; nil for a run that is no part.
  private var wholeIsLarge: Bool?

  init(_ rule: any Rule, on rows: Rows) throws(AggregationError) {
    if let measurement = rule.measurement, measurement.count(n: 2) > 2 {
      try rule.require(
        rows.count <= Self.mostPairwise, "n", rows.count,
        "at most \(Self.mostPairwise), since the rule measures every pair: is each row of the data one of the vectors?"
      )
    }
    self.init(rule: rule, rows: try rows.addingExtraVector(of: rule), n: rows.count)
  }

  private init(rule: any Rule, rows: Rows, n: Int) {
    self.rule = rule
    self.rows = rows
    self.n = n
  }

  private var isLarge: Bool { wholeIsLarge ?? rows.isLarge }

  /// The whole measurement, from its parts in order.
  private struct Total {
    var values: [Double] = []

    mutating func add(_ part: UnsafeBufferPointer<Double>) {
      if values.isEmpty {
        values = Array(part)
      } else {
        values.withUnsafeMutableBufferPointer { sums in
          for i in sums.indices { sums[i] += part[i] }
        }
      }
    }
  }

  private func decide(_ values: [Double]) throws(AggregationError) -> Combination {
    try rule.decide(
      Geometry(
        n: rows.count, elementType: rows.elementType, measurement: rule.measurement,
        values: values))
  }

  /// Measures and decides in the calling thread.
  func decide() throws(AggregationError) -> Combination {
    guard let measurement = rule.measurement else { return try decide([]) }
    return try decide(
      rows.measure(
        measurement, columns: 0..<rows.columns,
        inPartsOf: measurement.partLength(rows), centredOn: n))
  }

  /// Measures with the help of the context's workers and decides.
  func decide(in context: OperatorContext) async throws -> Combination {
    do {
      return try await decision(in: context)
    } catch AggregationError.cancelled {
      throw CancellationError()
    }
  }

  private func decision(in context: OperatorContext) async throws -> Combination {
    try Task.checkCancellation()
    guard let measurement = rule.measurement, !isSmall(nil, context) else { return try decide() }
    let part = measurement.partLength(rows)
    // Where the sums begin anew fixes the bits, so a part that some worker does not take is not divided.
    guard part <= context.columnsThatTravel(of: rows) else { return try decide() }
    let length = max(1, context.columns(perSubtaskOf: rows) / part) * part
    let subtasks = stride(from: 0, to: rows.columns, by: length).map {
      MeasureSubtask(
        measurement: measurement, range: $0..<min($0 + length, rows.columns), part: part, centred: n
      )
    }
    let parts = try await context.run(subtasks, operands: Operands(rows: rows))
    var total = Total()
    for (subtask, part) in zip(subtasks, parts) {
      let size = measurement.count(n: rows.count)
      guard part.shape == [subtask.partCount, size] else {
        throw RuntimeError(.malformedMessage, "A measurement came back as \(part.shape).")
      }
      part.withUnsafeBufferPointer { numbers in
        for start in stride(from: 0, to: numbers.count, by: size) {
          total.add(UnsafeBufferPointer(rebasing: numbers[start..<start + size]))
        }
      }
    }
    return try decide(total.values)
  }

  /// Whether the caller measures, or if there is a combination applies it, about as soon as workers that have to be woken; and has not
  /// asked for parts.
  private func isSmall(_ combination: Combination?, _ context: OperatorContext) -> Bool {
    guard context.chunkSize == nil else { return false }
    if context.isCallersOwn { return true }
    let numbers = Double(rows.count * rows.columns) * Double(rows.elementType.byteCount) / 4
    let measuring = numbers * (rule.measurement?.nanosecondsPerNumber(n: n) ?? 0)
    let combining =
      numbers * (combination?.nanosecondsPerNumber(n: n) ?? Combination.leastNanosecondsPerNumber)
    return measuring + combining < Self.splitThreshold
      || (combination == nil ? measuring : combining) < Self.stepThreshold
  }

  /// A number for each pair of them takes 2 GiB.
  private static let mostPairwise = 1 << 14
  /// 2 ms, in nanoseconds: to wake a processor, twice, can take a tenth of it.
  private static let splitThreshold = 2e6
  /// What one of the two steps takes at least if it is worth to wake processors for.
  private static let stepThreshold = 4e5

  /// The same run on some of its rows.
  func selecting(_ indices: [Int]) -> RuleRun {
    var run = RuleRun(rule: rule, rows: rows.selecting(indices), n: indices.count)
    run.wholeIsLarge = wholeIsLarge
    return run
  }

  /// Whether rows can be measured some at a time, with the same bits: a measurement of more rows is cut in other places.
  var canRunInParts: Bool {
    guard rows.count == n, n <= 1 << 16, let measurement = rule.measurement else {
      return rows.count == n && rule.measurement == nil
    }
    return measurement == .norms
      && measurement.partLength(rows) == measurement.partLength(rows.selecting([0]))
  }

  /// The run in parts of rows that stay in a processor's cache between two passes.
  var parts: [(range: Range<Int>, run: RuleRun)] {
    let rowByteCount = rows.columns * rows.elementType.byteCount
    let length = max(1, (512 << 10) / max(1, rowByteCount))
    return stride(from: 0, to: n, by: length).map { start in
      let range = start..<min(start + length, n)
      var part = selecting(Array(range))
      part.wholeIsLarge = isLarge
      return (range, part)
    }
  }

  /// Writes the output in the calling thread.
  func apply(_ combination: Combination, into out: OutputRows) {
    combination.apply(to: rows, columns: 0..<rows.columns, into: out, isLarge: isLarge)
  }

  /// Writes the output with the help of the context's workers.
  func apply(_ combination: Combination, into out: OutputRows, in context: OperatorContext)
    async throws
  {
    try Task.checkCancellation()
    if isSmall(combination, context) { return apply(combination, into: out) }
    let length = context.columns(perSubtaskOf: rows)
    let subtasks = stride(from: 0, to: rows.columns, by: length).map {
      CombineSubtask(combination: combination, range: $0..<min($0 + length, rows.columns))
    }
    _ = try await context.run(subtasks, operands: Operands(rows: rows, outputs: out))
  }
}

extension OperatorContext {
  /// How many columns one subtask takes: the caller's wish, or four subtasks for each worker; whole cache lines.
  ///
  /// Another process has nothing to do while a subtask is on its way, so there it is fewer subtasks unless they are large.
  fileprivate func columns(perSubtaskOf rows: Rows) -> Int {
    let (columns, workers) = (rows.columns, workerCount)
    let share = rows.count * columns * rows.elementType.byteCount / workers
    let isElsewhere = pool?.reachesOtherProcesses ?? false
    let count = isElsewhere ? max(1, min(4, share / Self.shareOfSubtask)) : 4
    let wish = chunkSize ?? (columns + count * workers - 1) / (count * workers)
    let most = columnsThatTravel(of: rows)
    // No more than there are: a wish near Int.max would overflow.
    let length = (max(1, min(wish, columns)) + 63) / 64 * 64
    return length <= most ? length : most >= 64 ? most / 64 * 64 : max(1, most)
  }

  /// How many columns of the rows fit into a message to any of the workers.
  fileprivate func columnsThatTravel(of rows: Rows) -> Int {
    guard let pool, let longest = pool.longestMessage else { return .max }
    // Who takes less than a MiB gets none, instead of having all others work in small pieces.
    let bytes = min(Self.bytesOfSubtask, max(longest, 1 << 20) / 2)
    return bytes / (rows.count * rows.elementType.byteCount)
  }

  /// Whether there is no pool to ask for help, and none is needed.
  var isCallersOwn: Bool {
    pool == nil && (options.capability ?? .cpu) == .cpu
  }

  /// What a subtask that travels reads at most: half of what a message may have by default.
  fileprivate static var bytesOfSubtask: Int { WireLimits().message / 2 }

  /// 16 MiB of vectors take a millisecond or more.
  private static var shareOfSubtask: Int { 16 << 20 }
}

extension Rows {
  /// Whether they are larger than most caches.
  fileprivate var isLarge: Bool { count * columns * elementType.byteCount >= 32 << 20 }

  fileprivate func addingExtraVector(of rule: any Rule) throws(AggregationError) -> Rows {
    switch rule.extraVector {
    case nil: return self
    case .zero: return appending(nil)
    case .vector(.float32(let tensor)): return try appending(tensor, of: rule)
    case .vector(.float64(let tensor)): return try appending(tensor, of: rule)
    }
  }

  private func appending<Element>(
    _ extra: Tensor<Element>, of rule: any Rule
  ) throws(AggregationError) -> Rows {
    guard Element.elementType == elementType, extra.count == columns else {
      throw .invalidParameter(
        rule: rule.name, name: "extra vector", value: "\(extra)",
        requirement: "\(columns) numbers of type \(elementType), as the vectors are")
    }
    do { return try appending(Rows([extra])) } catch { throw AggregationError(error) }
  }
}
