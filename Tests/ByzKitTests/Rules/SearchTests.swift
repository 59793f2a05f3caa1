import ByzKit
import ByzTensor
import Testing

@Suite("Exact searches end")
struct SearchTests {
  #if DEBUG
    static let limit = 3_000
  #else
    static let limit = 1_000_000
  #endif

  /// n points that are all equally far apart, but for a noise.
  static func simplex(n: Int, noise: Double) -> [Tensor<Double>] {
    (0..<n).map { i in
      var row = Tensor<Double>.normal(shape: [n], deviation: noise, key: RandomKey(UInt64(i)))
      row[i] += 1
      return row
    }
  }

  @Test(
    "Equidistant points at n = 40, f = 13 are answered or refused within seconds",
    arguments: [0, 1e-9, 1e-3, 0.1])
  func equidistant(_ noise: Double) throws {
    let vectors = Self.simplex(n: 40, noise: noise)
    #if DEBUG
      let rules: [any Aggregator] = [
        MDA(f: 13, searchLimit: Self.limit), SMEA(f: 13, searchLimit: Self.limit),
      ]
    #else
      let rules: [any Aggregator] = [MDA(f: 13), SMEA(f: 13)]
    #endif
    for rule in rules {
      let start = ContinuousClock.now
      let outcome = Result { () throws -> Tensor<Double> in try rule.aggregate(vectors) }
      switch outcome {
      case .success(let result): #expect(result.elements.allSatisfy { $0.isFinite })
      case .failure(let error):
        #expect("\(error)".hasPrefix("\(rule.name) gave up after"))
      }
      #expect(ContinuousClock.now - start < .seconds(30), "\(rule.name)")
    }
  }

  @Test("Points that are exactly equidistant give the mean of the first n - f")
  func firstSet() throws {
    let vectors = Self.simplex(n: 40, noise: 0)
    for rule in [MDA(f: 13), SMEA(f: 13)] as [any Aggregator] {
      #expect(
        try rule.aggregate(vectors) == Mean().aggregate(Array(vectors.prefix(27))), "\(rule.name)")
    }
  }

  @Test("A search that reaches its limit says so")
  func limit() {
    let vectors = Self.simplex(n: 24, noise: 0.1)
    #expect(throws: AggregationError.searchLimitExceeded(rule: "MDA", limit: 1)) {
      try MDA(f: 8, searchLimit: 1).aggregate(vectors)
    }
    #expect(throws: AggregationError.searchLimitExceeded(rule: "SMEA", limit: 1)) {
      try SMEA(f: 8, searchLimit: 1).aggregate(vectors)
    }
  }

  @Test("CAF ends when a far vector has been spent, and when nothing spreads")
  func filter() throws {
    let far: [Tensor<Double>] = [[0], [1], [2], [3], [1e8]]
    let result = try CAF(f: 2).aggregate(far)
    #expect(result.elements[0] >= 0 && result.elements[0] <= 3)
    let equal = Array(repeating: Tensor<Double>([5, 5]), count: 7)
    #expect(try CAF(f: 3).aggregate(equal).elements.allSatisfy { abs($0 - 5) < 1e-14 })
  }
}
