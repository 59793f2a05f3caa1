import ByzKit
import ByzTensor
import Testing

@Suite("Laws that every rule keeps")
struct RuleLawsTests {
  static let counts = [1, 2, 5, 8, 13]

  /// Runs `body` with a rule, rows and their f, for several n.
  private func forEachCase(
    _ rule: TestedRule, _ kind: RowKind = .normal, d: Int = 6,
    _ body: (any Rule, [[Double]], Int) throws -> Void
  ) throws {
    for n in Self.counts {
      guard let f = rule.f(n: n) else { continue }
      let made = rule.make(n, f, 1)
      do { try made.validate(n: n) } catch { continue }
      var source = TestRows(seed: n)
      try body(made, source.rows(kind, n: n, d: d, f: f), f)
    }
  }

  @Test(
    "The order of the vectors does not matter",
    arguments: TestedRule.all.filter { $0.symmetries.contains(.permutation) })
  func permutation(_ rule: TestedRule) throws {
    try forEachCase(rule) { made, rows, _ in
      var source = TestRows(seed: rows.count)
      let order = source.permutation(rows.count)
      let direct = try made.outputs(rows.tensors(as: Double.self))
      let permuted = try made.outputs(order.map { rows[$0] }.tensors(as: Double.self))
      let complaint = Tolerance(float64: max(1e-11, rule.tolerance.float64))
        .complaint(permuted, direct.map(\.doubles), rows: rows)
      #expect(complaint == nil, "n = \(rows.count)")
    }
  }

  @Test(
    "Rules that pick one vector or the middle of a column give the same bits in any order",
    arguments: TestedRule.aggregators.filter {
      ["median", "lower median", "Krum"].contains($0.name)
    })
  func permutationToTheBit(_ rule: TestedRule) throws {
    try forEachCase(rule) { made, rows, _ in
      guard rows.count > 2 else { return }  // of two vectors both are as near to the other
      let direct = try made.outputs(rows.tensors(as: Float.self))
      #expect(
        hasSameBits(try made.outputs(rows.reversed().tensors(as: Float.self)), direct),
        "n = \(rows.count)")
    }
  }

  @Test(
    "Adding a vector to every input adds it to the output",
    arguments: (TestedRule.selfContained + TestedRule.pipelines).filter {
      $0.symmetries.contains(.translation)
    })
  func translation(_ rule: TestedRule) throws {
    try forEachCase(rule) { made, rows, _ in
      let shift = rows[0].indices.map { Double($0 * 3 - 7) }
      let moved = rows.map { zip($0, shift).map { $0 + $1 } }
      let expected = try made.outputs(rows.tensors(as: Double.self)).map {
        zip($0.doubles, shift).map { $0 + $1 }
      }
      let complaint = Tolerance(float64: 10 * rule.tolerance.float64)
        .complaint(try made.outputs(moved.tensors(as: Double.self)), expected, rows: moved)
      #expect(complaint == nil, "n = \(rows.count)")
    }
  }

  @Test(
    "Scaling every input by a power of two scales the output, to the bit", arguments: TestedRule.all
  )
  func scale(_ rule: TestedRule) throws {
    for n in Self.counts {
      guard let f = rule.f(n: n) else { continue }
      let (one, many) = (rule.make(n, f, 1), rule.make(n, f, 1024))
      do { try one.validate(n: n) } catch { continue }
      var source = TestRows(seed: n)
      let rows = source.rows(.normal, n: n, d: 6, f: f)
      let expected = try one.outputs(rows.tensors(as: Float.self)).map {
        Tensor($0.elements.map { $0 * 1024 })
      }
      let scaled = try many.outputs(rows.map { $0.map { $0 * 1024 } }.tensors(as: Float.self))
      #expect(hasSameBits(scaled, expected), "n = \(n)")
    }
  }

  @Test(
    "Equal vectors come out as they went in",
    arguments: TestedRule.aggregators + TestedRule.pipelines)
  func fixedPoint(_ rule: TestedRule) throws {
    // It takes steps of length τ from elsewhere.
    guard !rule.name.hasPrefix("centered clipping from zero") else { return }
    try forEachCase(rule) { made, rows, _ in
      let equal = rows.map { _ in rows[0] }
      for output in try made.outputs(equal.tensors(as: Float.self)) {
        let complaint = Tolerance(float32: 3e-7).complaint([output], [rows[0]], rows: rows)
        #expect(complaint == nil, "n = \(rows.count)")
      }
    }
  }

  @Test(
    "An aggregate lies within the range of the inputs in each coordinate",
    arguments: TestedRule.aggregators)
  func hull(_ rule: TestedRule) throws {
    guard !rule.name.hasPrefix("centered clipping from zero") else { return }
    try forEachCase(rule, .ties) { made, rows, _ in
      let output = try made.outputs(rows.tensors(as: Double.self))[0].doubles
      for (j, value) in output.enumerated() {
        let column = rows.map { $0[j] }
        let (low, high) = (column.min() ?? 0, column.max() ?? 0)
        #expect(value >= low - 1e-12 && value <= high + 1e-12, "n = \(rows.count), column \(j)")
      }
    }
  }

  @Test(
    "f vectors far away leave the aggregate among the honest ones",
    arguments: (TestedRule.aggregators + TestedRule.pipelines).filter(\.isRobust),
    [1e4, 1e15, 1e30])
  func robustness(_ rule: TestedRule, _ distance: Double) throws {
    for n in [5, 8, 13] {
      guard let f = rule.f(n: n), f > 0 else { continue }
      var source = TestRows(seed: n)
      var rows = source.rows(.normal, n: n, d: 6, f: f)
      for i in 0..<f { rows[i] = rows[i].map { _ in distance } }
      // MoNNA trusts number n/2, which is honest here.
      let honest = Array(rows.dropFirst(f))
      for output in [
        try rule.make(n, f, 1).outputs(rows.tensors(as: Float.self))[0].doubles,
        try rule.make(n, f, 1).outputs(rows.tensors(as: Double.self))[0].doubles,
      ] {
        let centre = Twin.mean(honest)
        let spread = honest.map { Twin.distance($0, centre) }.max() ?? 0
        #expect(Twin.distance(output, centre) <= 4 * spread, "n = \(n), f = \(f)")
      }
    }
  }

  @Test("A median and a trimmed mean stay within the honest range in each coordinate")
  func honestRange() throws {
    for rule in [TrimmedMean(f: 3), Median()] as [any Aggregator] {
      for seed in 0..<20 {
        var source = TestRows(seed: seed)
        var rows = source.rows(.normal, n: 8, d: 5, f: 0)
        let honest = Array(rows.dropFirst(3))
        for i in 0..<3 {
          rows[i] = rows[i].map { _ in
            [1e9, -1e9, .nan, .infinity, -.infinity][source.integer(below: 5)]
          }
        }
        let output = try rule.outputs(rows.tensors(as: Double.self))[0].doubles
        for (j, value) in output.enumerated() {
          let column = honest.map { $0[j] }
          #expect(
            column.contains { value >= $0 - 1e-12 } && column.contains { value <= $0 + 1e-12 })
        }
      }
    }
  }

  @Test("Krum gives the bits of one of the vectors")
  func picks() throws {
    var source = TestRows(seed: 3)
    let vectors = try source.rows(.normal, n: 9, d: 40, f: 0).tensors(as: Float.self)
    let krum = try Krum(f: 2).aggregate(vectors)
    #expect(vectors.contains { $0.hasSameBits(as: krum) })
  }

  @Test(
    "No vector, an empty vector and vectors of different shapes are refused",
    arguments: TestedRule.all)
  func refusals(_ rule: TestedRule) throws {
    let made = rule.make(8, 1, 1)
    #expect(throws: AggregationError.self) { try made.outputs([Tensor<Float>]()) }
    let empty = Array(repeating: Tensor<Float>(repeating: 1, shape: [0]), count: 8)
    #expect(throws: AggregationError.noVectors) { try made.outputs(empty) }
    var uneven = Array(repeating: Tensor<Float>(repeating: 1, shape: [4]), count: 8)
    uneven[5] = Tensor(repeating: 1, shape: [2, 2])
    #expect(throws: AggregationError.shapesDiffer(first: [4], other: [2, 2], index: 5)) {
      try made.outputs(uneven)
    }
  }

  @Test("The shape of the vectors is kept, whatever its rank", arguments: TestedRule.all)
  func shapes(_ rule: TestedRule) throws {
    var source = TestRows(seed: 1)
    for shape in [[], [1], [6], [2, 3], [1, 2, 1, 3]] as [[Int]] {
      let d = shape.reduce(1, *)
      let rows = source.rows(.normal, n: 8, d: d, f: 0)
      let flat = try rule.make(8, 1, 1).outputs(rows.tensors(as: Double.self))
      let shaped = try rule.make(8, 1, 1).outputs(rows.tensors(as: Double.self, shape: shape))
      #expect(shaped.allSatisfy { $0.shape == shape })
      #expect(try hasSameBits(shaped.map { try $0.reshaped([d]) }, flat))
    }
  }

  @Test(
    "The rows of a matrix are aggregated as vectors of their own, in place or not",
    arguments: TestedRule.aggregators)
  func matrices(_ rule: TestedRule) throws {
    var source = TestRows(seed: 2)
    // Three columns: rows begin anywhere in memory.
    let vectors = try source.rows(.normal, n: 8, d: 3, f: 0).tensors(as: Float.self)
    let made = try #require(rule.make(8, 1, 1) as? any Aggregator)
    let expected = try made.aggregate(vectors)
    let matrix = try Tensor(stacking: vectors)
    #expect(try made.aggregate(matrix).hasSameBits(as: expected))
    // The output's old value is an input too: it must be read before it is written.
    var out = vectors[7]
    try made.aggregate(vectors, into: &out)
    #expect(out.hasSameBits(as: expected))
    var wrong = Tensor<Float>(repeating: 5, shape: [4])
    #expect(throws: AggregationError.self) { try made.aggregate(vectors, into: &wrong) }
    #expect(wrong == Tensor(repeating: 5, shape: [4]))
  }
}
