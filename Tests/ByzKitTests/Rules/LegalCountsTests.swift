import ByzKit
import ByzTensor
import Testing

@Suite("The legal n and f of every rule")
struct LegalCountsTests {
  /// The table, written out once more.
  static func isLegal(_ counts: LegalCounts, n: Int, f: Int) -> Bool {
    guard n >= 1, f >= 0 else { return false }
    return switch counts {
    case .any: f <= n
    case .fewerThanAll: f < n
    case .minority: 2 * f < n
    case .minorityOfTwo: 2 * f < n && n - f >= 2
    case .minorityOfThree: 2 * f < n && n - f >= 3
    case .quarter: 4 * f + 3 <= n
    }
  }

  @Test("The table says what its words say", arguments: LegalCounts.allCases)
  func table(_ counts: LegalCounts) {
    for n in -2...20 {
      for f in -3...22 {
        #expect(counts.allows(n: n, f: f) == Self.isLegal(counts, n: n, f: f), "n = \(n), f = \(f)")
      }
    }
  }

  @Test("Any n and f may be asked about", arguments: LegalCounts.allCases)
  func extremes(_ counts: LegalCounts) {
    let extremes = [Int.min, Int.min + 1, -1, 0, 1, Int.max / 4, Int.max / 2, Int.max - 1, Int.max]
    for n in extremes {
      for f in extremes where f < 0 || n < 1 || f > n {
        #expect(!counts.allows(n: n, f: f))
      }
    }
    #expect(counts.allows(n: .max, f: 0))
    #expect(LegalCounts.quarter.allows(n: .max, f: .max / 4 - 1))
    #expect(!LegalCounts.quarter.allows(n: .max, f: .max / 4 + 1))
    #expect(!LegalCounts.minority.allows(n: .max, f: .max / 2 + 1))
  }

  /// What an entry needs besides f.
  static func parameters(_ names: [String], f: Int) -> Parameters {
    let others: [String: ParameterValue] = [
      "f": .integer(f), "q": .integer(1), "tau": .number(1), "threshold": .number(1),
      "size": .integer(2),
      "weights": .numbers([1, 2, 3, 4]),
    ]
    return Parameters(others.filter { names.contains($0.key) })
  }

  private func check(_ name: String, _ bound: LegalCounts, _ make: (Int) throws -> any Rule) throws
  {
    for n in 0...12 {
      let vectors = (0..<n).map { Tensor<Float>([Float($0), Float($0 * $0)]) }
      for f in -2...14 {
        let made = try make(f)
        do {
          _ = try made.outputs(vectors)
          #expect(Self.isLegal(bound, n: n, f: f), "\(name) works for n = \(n), f = \(f)")
        } catch AggregationError.noVectors {
          #expect(n == 0)
        } catch AggregationError.illegalCount(let rule, n, f, let words) {
          #expect(!Self.isLegal(bound, n: n, f: f), "\(name) refuses n = \(n), f = \(f)")
          #expect(words == bound.description && rule == made.name)
        }
      }
    }
  }

  @Test(
    "An aggregator refuses exactly what the table says",
    arguments: Catalog.aggregators.filter { $0.bound != .any }.map(\.name))
  func aggregators(_ name: String) throws {
    let entry = try Catalog.aggregator(name)
    try check(name, entry.bound) {
      try entry.make(Self.parameters(entry.parameters.map(\.name), f: $0))
    }
  }

  @Test(
    "A pre-aggregator refuses exactly what the table says",
    arguments: Catalog.preAggregators.filter { $0.bound != .any }.map(\.name))
  func preAggregators(_ name: String) throws {
    let entry = try Catalog.preAggregator(name)
    try check(name, entry.bound) {
      try entry.make(Self.parameters(entry.parameters.map(\.name), f: $0))
    }
  }

  @Test("Krum with the paper's neighbours needs one vector more")
  func paper() throws {
    try check("krum", .minorityOfThree) { Krum(f: $0, neighbors: .paper) }
    try check("multiKrum", .minorityOfThree) { MultiKrum(f: $0, q: 1, neighbors: .paper) }
  }

  @Test("Every rule of the catalogue that has no f works for one vector")
  func anyCount() throws {
    for entry in Catalog.aggregators where entry.bound == .any && entry.name != "weightedMean" {
      let rule = try entry.make(Self.parameters(entry.parameters.map(\.name), f: 0))
      #expect(try rule.aggregate([Tensor<Float>([3, 4])]).count == 2, "\(entry.name)")
    }
  }

  @Test("Multi-Krum averages from one to n - f vectors")
  func picks() throws {
    let vectors = (0..<7).map { Tensor<Float>([Float($0)]) }
    for q in [Int.min, -1, 0, 1, 5, 6, Int.max] {
      let isLegal = (1...5).contains(q)
      let result = try? MultiKrum(f: 2, q: q).aggregate(vectors)
      #expect((result != nil) == isLegal, "q = \(q)")
    }
  }

  @Test("A pipeline checks every rule for the number of vectors that reaches it, before it works")
  func pipelines() throws {
    let vectors = (0..<8).map { Tensor<Float>([Float($0)]) }
    // Four groups of two: one of four may be Byzantine, two may not.
    #expect(throws: Never.self) {
      try Bucketing(size: 2).then(TrimmedMean(f: 1)).aggregate(vectors)
    }
    #expect(
      throws: AggregationError.illegalCount(rule: "TrimmedMean", n: 4, f: 2, bound: "0 ≤ 2f < n")
    ) {
      try Bucketing(size: 2).then(TrimmedMean(f: 2)).aggregate(vectors)
    }
    #expect(throws: AggregationError.self) {
      try Bucketing(size: 0).then(Mean()).aggregate(vectors)
    }
    #expect(throws: Never.self) { try Bucketing(size: .max).then(Mean()).aggregate(vectors) }
  }
}
