import ByzKit
import ByzTensor
import Testing

@Suite("Explanations")
struct ExplanationTests {
  private func weights(_ rule: any Aggregator, _ rows: [[Double]]) throws -> [Double] {
    try rule.explain(rows.tensors(as: Double.self)).weights
  }

  @Test(
    "The aggregate is that of the plain call, to the bit",
    arguments: TestedRule.aggregators + TestedRule.pipelines)
  func bits(_ rule: TestedRule) throws {
    var source = TestRows(seed: 5)
    let vectors = try source.rows(.normal, n: 8, d: 7, f: 0).tensors(as: Float.self)
    let made = try #require(rule.make(8, 1, 1) as? any Aggregator)
    #expect(try made.explain(vectors).aggregate.hasSameBits(as: made.aggregate(vectors)))
  }

  @Test(
    "With one coordinate the weights make the aggregate, traced back through every rule of a pipeline",
    arguments: TestedRule.aggregators + TestedRule.pipelines,
    [RowKind.normal, .offset, .ties, .far, .nonFinite])
  func oneCoordinate(_ rule: TestedRule, _ kind: RowKind) throws {
    guard rule.isRobust || kind != .nonFinite, rule.name != "MoNNA" || kind != .nonFinite else {
      return
    }
    for seed in 0..<5 {
      var source = TestRows(seed: seed)
      let rows = source.rows(kind, n: 8, d: 1, f: 1)
      let made = try #require(rule.make(8, 1, 1) as? any Aggregator)
      let explanation = try made.explain(rows.tensors(as: Double.self))
      let sum = Twin.weighted(rows, explanation.weights)
      let complaint = Tolerance(float64: 1e-10).complaint(
        [explanation.aggregate], [sum], rows: rows)
      #expect(complaint == nil, "\(kind), seed \(seed)")
      #expect(explanation.isKept == explanation.weights.map { $0 != 0 })
    }
  }

  @Test("Weights of whole vectors are those the rule chose")
  func chosen() throws {
    let rows: [[Double]] = [[0, 0], [1, 0], [0, 1], [50, 50], [1, 1]]
    #expect(try weights(MDA(f: 1), rows) == [0.25, 0.25, 0.25, 0, 0.25])
    #expect(try weights(Krum(f: 1), rows) == [1, 0, 0, 0, 0])
    #expect(try weights(WeightedMean(weights: [1, 0, 2, 0, 1]), rows) == [0.25, 0, 0.5, 0, 0.25])
    #expect(
      try CGE(f: 2).explain(rows.tensors(as: Float.self)).isKept == [
        true, true, true, false, false,
      ])
  }

  @Test("A rule by coordinates reports the mean of its weights over the coordinates")
  func coordinates() throws {
    let rows: [[Double]] = [[1, 9], [2, 2], [3, 3], [9, 1]]
    // Kept in the first coordinate: 2 and 3; in the second: 2 and 3.
    #expect(try weights(TrimmedMean(f: 1), rows) == [0, 0.5, 0.5, 0])
    #expect(try weights(Median(), [[1, 3], [2, 2], [3, 1]]) == [0, 1, 0])
    #expect(try weights(Median(), [[1, 2], [2, 3], [3, 1]]) == [0.5, 0.5, 0])
    #expect(try weights(Median(middle: .lower), [[1], [2], [3], [4]]) == [0, 1, 0, 0])
    #expect(try weights(MeanAroundMedian(f: 1), [[0], [1], [9]]) == [0.5, 0.5, 0])
  }

  @Test(
    "Values that differ by less than single precision from equally near are told apart, as the rule does"
  )
  func nearInDouble() throws {
    let rows: [[Double]] = [[-1], [0x1p-26], [1]]
    let explanation = try MeanAroundMedian(f: 1).explain(rows.tensors(as: Float.self))
    #expect(explanation.weights == [0, 0.5, 0.5])
    #expect(explanation.aggregate.elements == [0.5])
  }

  @Test("A clipped vector keeps the part that clipping left")
  func clipped() throws {
    #expect(try weights(Clipping(threshold: 2).then(Mean()), [[2], [8]]) == [0.5, 0.125])
    #expect(try weights(Clipping(threshold: 2).then(Mean()), [[2], [.nan]]) == [0.5, 0])
  }

  @Test("A group gives its weight to its members")
  func grouped() throws {
    #expect(
      try weights(Bucketing(size: 2).then(Median()), [[0], [2], [4], [6], [50]]) == [
        0, 0, 0.5, 0.5, 0,
      ])
  }

  @Test("What centered clipping leaves on a start of its own is missing from the weights")
  func start() throws {
    let weights = try weights(CenteredClipping(tau: 1, iterations: 1, start: .zero), [[4], [0.5]])
    #expect(weights == [0.125, 0.5])
  }

  @Test("A refusal is that of the plain call")
  func refusal() {
    #expect(throws: AggregationError.noVectors) { try Krum(f: 1).explain([Tensor<Float>]()) }
    #expect(throws: AggregationError.illegalCount(rule: "CAF", n: 2, f: 1, bound: "0 ≤ 2f < n")) {
      try CAF(f: 1).explain([Tensor<Float>([1]), Tensor<Float>([2])])
    }
  }
}
