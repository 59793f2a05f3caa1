// How a rule runs: measure, decide, combine. One definition; the direct call does the subtasks in order, a pool deals them out.

/// Measures some chunks of columns; one list of numbers for each.
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

  func check(_ operands: Operands) throws {
    guard let rows = operands.rows,
      chunks.allSatisfy({
        $0.lowerBound >= 0 && $0.upperBound <= rows.columns
          && $0.lowerBound % Rows.blockColumns == 0
      }),
      measurement.fits(rows: rows.count, centred: centred, hasZeros: rows.pointers.contains(nil))
    else { throw AggregationError.noVectors }
  }

  func run(_ operands: Operands) -> [[Double]] {
    guard let rows = operands.rows else { return [] }
    return chunks.map { rows.measure(measurement, columns: $0, centredOn: centred) }
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

  func check(_ operands: Operands) throws {
    guard let rows = operands.rows, let outputs = operands.outputs,
      combination.fits(rows: rows, outputs: outputs), range.lowerBound >= 0,
      range.upperBound <= rows.columns
    else { throw AggregationError.noVectors }
  }

  func run(_ operands: Operands) -> Bool {
    guard let rows = operands.rows, let outputs = operands.outputs else { return false }
    combination.apply(to: rows, columns: range, into: outputs)
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
    // At most 32 parts, fewer where a part is a large matrix: together they stay below 16 MiB or are four.
    let part = measurement.count(n: rows.count)
    let parts = min(32, max(4, (2 << 20) / part))
    let length = max(1, (blocks + parts - 1) / parts) * block
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

  init(_ rule: any Rule, on rows: Rows) throws(AggregationError) {
    self.init(rule: rule, rows: try rows.addingExtraVector(of: rule), n: rows.count)
  }

  private init(rule: any Rule, rows: Rows, n: Int) {
    self.rule = rule
    self.rows = rows
    self.n = n
  }

  /// The whole measurement, from its parts in order.
  private func decide(_ parts: some Sequence<[Double]>) throws(AggregationError) -> Combination {
    var total: [Double] = []
    for part in parts {
      if total.isEmpty {
        total = part
      } else {
        total.add(part)
      }
    }
    return try rule.decide(
      Geometry(
        n: rows.count, elementType: rows.elementType, measurement: rule.measurement, values: total))
  }

  /// Measures and decides in the calling thread.
  func decide() throws(AggregationError) -> Combination {
    guard let measurement = rule.measurement else { return try decide([]) }
    let chunks = MeasurementChunks(measurement, rows: rows)
    if measurement.isOfSingleRows {
      // Row by row: memory is read faster along rows than a piece of each at a time.
      let all = rows.measure(
        measurement, columns: 0..<rows.columns, inPartsOf: chunks.length)
      return try decide(CollectionOfOne(all))
    }
    return try decide(
      chunks.ranges.lazy.map { rows.measure(measurement, columns: $0, centredOn: n) })
  }

  /// Measures with the help of the context's workers and decides.
  func decide(in context: OperatorContext) async throws -> Combination {
    guard let measurement = rule.measurement, !isSmall(context) else { return try decide() }
    let chunks = MeasurementChunks(measurement, rows: rows).ranges
    let perSubtask = context.columns(perSubtaskOf: rows.columns)
    let group = max(1, perSubtask / (chunks.first?.count ?? 1))
    let subtasks = stride(from: 0, to: chunks.count, by: group).map {
      MeasureSubtask(
        measurement: measurement, chunks: Array(chunks[$0..<min($0 + group, chunks.count)]),
        centred: n)
    }
    let parts = try await context.run(subtasks, operands: Operands(rows: rows))
    return try decide(parts.joined())
  }

  /// Whether the way to a worker and back takes longer than the work, of which the caller has not asked for parts.
  private func isSmall(_ context: OperatorContext) -> Bool {
    context.chunkSize == nil
      && rows.count * rows.columns * rows.elementType.byteCount < Self.splitThreshold
  }

  /// 1 MiB is read in less than 0.1 ms.
  private static let splitThreshold = 1 << 20

  /// The same run on some of its rows.
  func selecting(_ indices: [Int]) -> RuleRun {
    RuleRun(rule: rule, rows: rows.selecting(indices), n: indices.count)
  }

  /// Writes the output in the calling thread.
  func apply(_ combination: Combination, into out: OutputRows) {
    combination.apply(to: rows, columns: 0..<rows.columns, into: out)
  }

  /// Writes the output with the help of the context's workers.
  func apply(_ combination: Combination, into out: OutputRows, in context: OperatorContext)
    async throws
  {
    if isSmall(context) { return apply(combination, into: out) }
    let length = context.columns(perSubtaskOf: rows.columns)
    let subtasks = stride(from: 0, to: rows.columns, by: length).map {
      CombineSubtask(combination: combination, range: $0..<min($0 + length, rows.columns))
    }
    _ = try await context.run(subtasks, operands: Operands(rows: rows, outputs: out))
  }
}

extension OperatorContext {
  /// How many columns one subtask takes: the caller's wish, or four subtasks for each worker; whole cache lines.
  fileprivate func columns(perSubtaskOf columns: Int) -> Int {
    let wish = chunkSize ?? (columns + 4 * workerCount - 1) / (4 * workerCount)
    // No more than there are: a wish near Int.max would overflow.
    return (max(1, min(wish, columns)) + 63) / 64 * 64
  }
}

extension [Double] {
  /// Adds as many numbers.
  fileprivate mutating func add(_ other: [Double]) {
    precondition(count == other.count)
    withUnsafeMutableBufferPointer { sums in
      other.withUnsafeBufferPointer { other in
        for i in sums.indices { sums[i] += other[i] }
      }
    }
  }
}

extension Rows {
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
