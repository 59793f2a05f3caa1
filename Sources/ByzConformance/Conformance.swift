public import ByzKit

/// Runs golden cases: inputs and outputs from an independent reference, in the format of `Tests/Conformance/README.md`.
///
/// Every case runs by the direct call and on a pool with several chunk sizes, which must give the same bits.
public struct Conformance: Sendable {
  private let directory: ConformanceDirectory
  /// Of columns per subtask; nil is the usual number.
  private static let chunkSizes: [Int?] = [nil, 64, 192]

  /// Reads the cases of a directory: `cases.json` and, where they are there, `invalid.json` and `statistical.json`.
  ///
  /// - Throws: ``ConformanceError``.
  public init(directory path: String) throws(ConformanceError) {
    directory = try ConformanceDirectory(path: path)
  }

  /// Runs all cases. A case that cannot be run, for instance because its input is missing, is a failure like any other.
  ///
  /// - Parameter pool: of threads.
  /// - Throws: `CancellationError`.
  public func run(on pool: ActorPool) async throws -> ConformanceReport {
    var report = ConformanceReport()
    for entry in directory.golden {
      try await report.record(entry.id) { try await check(entry, on: pool) }
    }
    for entry in directory.invalid {
      try await report.record(entry.id) { try await check(entry, on: pool) }
    }
    for (number, entry) in directory.statistical.enumerated() {
      try await report.record("statistical-\(number + 1)") { try check(entry) }
    }
    return report
  }
}

// MARK: - Golden cases

extension Conformance {
  private func check(_ entry: GoldenCase, on pool: ActorPool) async throws {
    let input = try AnyTensor(npy: directory.file(entry.input))
    let expected = try Tensor<Double>(npy: directory.file(entry.expected))
    let comparison = Comparison(expected: expected, rtol: entry.rtol, atol: entry.atol)
    guard input.shape == [entry.n, entry.d] else {
      throw Complaint("the input has shape \(input.shape), the case says \([entry.n, entry.d])")
    }
    switch (input, entry.dtype) {
    case (.float32(let input), .f32): try await check(entry, input.rows, comparison, on: pool)
    case (.float64(let input), .f64): try await check(entry, input.rows, comparison, on: pool)
    default:
      throw Complaint("the input is \(input.elementType.rawValue), the case says \(entry.dtype)")
    }
  }

  private func check<Element>(
    _ entry: GoldenCase, _ rows: [Tensor<Element>], _ comparison: Comparison, on pool: ActorPool
  ) async throws {
    let operation = try ConformanceOperation(entry.operator, entry.parameters.parameterValues)
    let direct: Tensor<Element>
    do {
      direct = try operation.run(rows)
    } catch  where entry.mayBeRefused && error.isRefusal {
      return
    }
    if let discrepancy = comparison.discrepancy(direct) { throw Complaint(discrepancy) }
    for size in Self.chunkSizes {
      let pooled = try await operation.run(rows, on: pool, chunkSize: size)
      guard pooled?.hasSameBits(as: direct) ?? true else {
        throw Complaint("a pool\(size.map { " with chunks of \($0)" } ?? "") gives other bits")
      }
    }
  }
}

// MARK: - Invalid cases

extension Conformance {
  private func check(_ entry: InvalidCase, on pool: ActorPool) async throws {
    try await check(entry, try rows(of: entry) as [Tensor<Float>], on: pool)
    try await check(entry, try rows(of: entry) as [Tensor<Double>], on: pool)
  }

  private func rows<Element>(of entry: InvalidCase) throws -> [Tensor<Element>] {
    guard let contents = entry.contents else {
      let one = Tensor<Element>(repeating: 1, shape: [entry.d ?? 0])
      return Array(repeating: one, count: entry.n ?? 0)
    }
    return try contents.map { row in
      Tensor(try row.map { Element(try Parameters(["contents": $0.value]).number("contents")) })
    }
  }

  private func check<Element>(
    _ entry: InvalidCase, _ rows: [Tensor<Element>], on pool: ActorPool
  ) async throws {
    try await expectRefusal(of: entry, "the direct call") { try $0.run(rows) }
    try await expectRefusal(of: entry, "a pool") {
      try await $0.run(rows, on: pool, chunkSize: nil)
    }
  }

  private func expectRefusal<Element>(
    of entry: InvalidCase, _ path: String,
    _ run: (ConformanceOperation) async throws -> Tensor<Element>?
  ) async throws {
    do {
      let operation = try ConformanceOperation(entry.operator, entry.parameters.parameterValues)
      guard let output = try await run(operation) else { return }
      let isVisiblyBad = output.elements.contains { !$0.isFinite }
      if entry.expect == .rejectOrNonfinite && isVisiblyBad { return }
      throw Complaint("\(path) accepts it and returns \(output)")
    } catch  where error.isRefusal {
      return
    }
  }
}

// MARK: - Statistical cases

extension Conformance {
  private func check(_ entry: StatisticalCase) throws {
    let values = entry.parameters.parameterValues
    guard let attack = try Catalog.attack(entry.operator).make(Parameters(values)) as? Gaussian
    else {
      throw Complaint("only the Gaussian attack has bounds")
    }
    try check(entry, attack) { try attack.craft(shape: [entry.d], key: $0) as Tensor<Float> }
    try check(entry, attack) { try attack.craft(shape: [entry.d], key: $0) as Tensor<Double> }
  }

  private func check<Element>(
    _ entry: StatisticalCase, _ attack: Gaussian, _ draw: (RandomKey) throws -> Tensor<Element>
  ) throws {
    let draws = try draw(RandomKey(1))
    guard try draw(RandomKey(1)).hasSameBits(as: draws) else {
      throw Complaint("the same seed gives other draws")
    }
    let statistics = Statistics(draws.elements.map { Double($0) })
    let bounds = [
      ("mean", (statistics.mean - attack.mean).magnitude, entry.meanTolerance),
      (
        "standard deviation", (statistics.deviation - attack.deviation).magnitude,
        entry.stdTolerance
      ),
      (
        "distribution function",
        statistics.distanceToNormal(mean: attack.mean, deviation: attack.deviation), entry.ksMax
      ),
    ]
    for (what, error, bound) in bounds where !(error <= bound) {
      throw Complaint("the \(what) is off by \(error), allowed is \(bound)")
    }
  }
}

// MARK: - Outcomes

/// Why a case was not passed.
private struct Complaint: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

extension ConformanceReport {
  fileprivate mutating func record(_ id: String, _ body: () async throws -> Void) async throws {
    do {
      try await body()
      passed += 1
    } catch let error as CancellationError {
      throw error
    } catch {
      failures.append(ConformanceFailure(id: id, reason: "\(error)"))
    }
  }
}

extension Error {
  /// Whether the operator refused its input or parameters, as opposed to not being there.
  fileprivate var isRefusal: Bool {
    switch self {
    case is AggregationError, is AttackError: return true
    case let error as CatalogError:
      switch error {
      case .missingParameter, .wrongParameter, .contradictingParameters: return true
      case .unknownName, .unknownParameter: return false
      }
    default: return false
    }
  }
}
