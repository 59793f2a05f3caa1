// How a rule runs: measure, decide, combine. One definition; the direct call does the subtasks in order, a pool deals them out.

/// Measures some chunks of columns; one row of numbers for each.
struct MeasureSubtask: FootprintSubtask {
  let measurement: Measurement
  let chunks: [Range<Int>]
  /// The number of rows that take part in the centre.
  let centred: Int

  var columns: Range<Int>? {
    guard let first = chunks.first, let last = chunks.last else { return nil }
    return first.lowerBound..<max(first.upperBound, last.upperBound)
  }

  func moved() -> MeasureSubtask {
    let start = columns?.lowerBound ?? 0
    return MeasureSubtask(
      measurement: measurement,
      chunks: chunks.map { $0.lowerBound - start..<$0.upperBound - start }, centred: centred)
  }

  func check(_ operands: Operands, limits: WireLimits) throws {
    guard let rows = operands.rows,
      zip(chunks, chunks.dropFirst()).allSatisfy({ $0.upperBound <= $1.lowerBound }),
      chunks.allSatisfy({
        $0.lowerBound >= 0 && $0.upperBound <= rows.columns
          && $0.lowerBound % Rows.blockColumns == 0
      }),
      measurement.fits(rows: rows.count, centred: centred, hasZeros: rows.pointers.contains(nil)),
      // What comes out travels in one message.
      chunks.count * measurement.count(n: rows.count) <= limits.message / 8
    else { throw AggregationError.noVectors }
  }

  func run(_ operands: Operands) throws -> Tensor<Double> {
    guard let rows = operands.rows else { throw AggregationError.noVectors }
    return try rows.measure(measurement, columns: chunks, centredOn: centred)
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

/// Where a measurement is cut. The parts are added in order, so this fixes the bits: it depends on the shape alone.
struct MeasurementChunks {
  let ranges: [Range<Int>]
  /// The columns of each but the last.
  let length: Int

  init(_ measurement: Measurement, rows: Rows) {
    let block = Rows.blockColumns
    let blocks = (rows.columns + block - 1) / block
    // At most 32 parts, fewer where a part is a large matrix: together they stay below 16 MiB or are four. More of what would not fit a
    // message otherwise.
    let part = measurement.count(n: rows.count)
    let parts = min(32, max(4, (2 << 20) / part))
    let most = max(
      1, OperatorContext.bytesOfSubtask / (rows.count * rows.elementType.byteCount * block))
    let length = max(1, min(most, (blocks + parts - 1) / parts)) * block
    self.length = length
    ranges = stride(from: 0, to: rows.columns, by: length).map {
      $0..<min($0 + length, rows.columns)
    }
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
        inPartsOf: MeasurementChunks(measurement, rows: rows).length, centredOn: n))
  }

  /// Measures with the help of the context's workers and decides.
  func decide(in context: OperatorContext) async throws -> Combination {
    guard let measurement = rule.measurement, !isSmall(nil, context) else { return try decide() }
    let chunks = MeasurementChunks(measurement, rows: rows).ranges
    let perSubtask = context.columns(perSubtaskOf: rows)
    let group = max(1, perSubtask / (chunks.first?.count ?? 1))
    let subtasks = stride(from: 0, to: chunks.count, by: group).map {
      MeasureSubtask(
        measurement: measurement, chunks: Array(chunks[$0..<min($0 + group, chunks.count)]),
        centred: n)
    }
    let parts = try await context.run(subtasks, operands: Operands(rows: rows))
    var total = Total()
    for (subtask, part) in zip(subtasks, parts) {
      let size = measurement.count(n: rows.count)
      guard part.shape == [subtask.chunks.count, size] else {
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

  /// Whether the caller does the work, of which it has not asked for parts, about as soon as workers that have to be woken.
  private func isSmall(_ combination: Combination?, _ context: OperatorContext) -> Bool {
    guard context.chunkSize == nil else { return false }
    if context.isCallersOwn { return true }
    let perNumber =
      (rule.measurement?.nanosecondsPerNumber(n: n) ?? 0)
      + (combination?.nanosecondsPerNumber(n: n) ?? Combination.leastNanosecondsPerNumber)
    let numbers = Double(rows.count * rows.columns) * Double(rows.elementType.byteCount) / 4
    return numbers * perNumber < Self.splitThreshold
  }

  /// 2 ms, in nanoseconds: to wake a processor, twice, can take a tenth of it.
  private static let splitThreshold = 2e6

  /// The same run on some of its rows.
  func selecting(_ indices: [Int]) -> RuleRun {
    var run = RuleRun(rule: rule, rows: rows.selecting(indices), n: indices.count)
    run.wholeIsLarge = wholeIsLarge
    return run
  }

  /// Whether rows can be measured some at a time, with the same bits: a measurement of more rows is cut in other places.
  var canRunInParts: Bool {
    rows.count == n && n <= 1 << 16 && (rule.measurement == nil || rule.measurement == .norms)
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
    let most =
      isElsewhere ? Self.bytesOfSubtask / (rows.count * rows.elementType.byteCount) : columns
    // No more than there are: a wish near Int.max would overflow.
    return (max(1, min(wish, columns, most)) + 63) / 64 * 64
  }

  /// Whether there is no pool to ask for help, and none is needed.
  var isCallersOwn: Bool {
    pool == nil && (options.capability ?? .cpu) == .cpu
  }

  /// What a subtask that travels reads at most: half of what a message may have, unless limits say otherwise.
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
