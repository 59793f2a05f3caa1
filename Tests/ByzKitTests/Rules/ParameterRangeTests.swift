import ByzKit
import ByzTensor
import Testing

@Suite("Parameters out of range")
struct ParameterRangeTests {
  static let vectors = (0..<5).map { Tensor<Double>([Double($0), 1]) }

  static let illegal: [any Rule & Sendable] = [
    TrimmedMean(ratio: .nan), TrimmedMean(ratio: -0.1), TrimmedMean(ratio: 0.5),
    TrimmedMean(ratio: .infinity),
    MoNNA(f: 1, reference: -1), MoNNA(f: 1, reference: 5), MoNNA(f: 1, reference: .max),
    MDA(f: 1, searchLimit: 0), SMEA(f: 1, searchLimit: .min),
    CenteredClipping(tau: .nan), CenteredClipping(tau: -1), CenteredClipping(tau: .infinity),
    CenteredClipping(tau: 1, iterations: 0), CenteredClipping(tau: 1, iterations: .min),
    CenteredClipping(tau: 1, around: Tensor<Float>([1, 2])),
    CenteredClipping(tau: 1, around: Tensor<Double>([1])),
    CenteredClipping(tau: 1, around: Tensor<Double>([1, .nan])),
    WeightedMean(weights: []), WeightedMean(weights: [1, 2, 3, 4]),
    WeightedMean(weights: [1, 1, 1, 1, -1]),
    WeightedMean(weights: [1, 1, 1, 1, .nan]), WeightedMean(weights: [0, 0, 0, 0, 0]),
    WeightedMean(weights: [1e308, 1e308, 0, 0, 0]),
    Clipping(threshold: .nan), Clipping(threshold: -1), Clipping(threshold: .infinity),
    Bucketing(size: 0), Bucketing(size: .min), Bucketing(size: 2, permutation: [0, 1, 2, 3]),
    Bucketing(size: 2, permutation: [0, 1, 2, 3, 3]),
    Bucketing(size: 2, permutation: [0, 1, 2, 3, .max]),
    Empire(scale: .nan), InnerProductManipulation(tau: .infinity), ALIE(tau: .nan),
    Mimic(index: 5), Mimic(index: -1), Mimic(index: .min),
    Little(f: -1), Little(f: .max), Little(f: .max, workers: .max), Little(f: 3, workers: 2),
    Little(f: 0, workers: 0),
    Little(f: 1, workers: .min), Little(f: 0, workers: 1),
  ]

  @Test(
    "Every illegal parameter is refused with an error that names a number to change",
    arguments: illegal.indices)
  func refused(_ index: Int) throws {
    let rule = Self.illegal[index]
    do {
      let outputs = try rule.outputs(Self.vectors)
      Issue.record("\(rule) gave \(outputs)")
    } catch let error as AggregationError {
      #expect(!error.description.isEmpty)
    }
  }

  @Test(
    "An f beyond all bounds is refused by every rule that has one",
    arguments: [Int.max, .max / 2 + 1, .min, -1, 5])
  func extremeCounts(_ f: Int) throws {
    let rules: [any Rule] = [
      TrimmedMean(f: f), MeanAroundMedian(f: f), Krum(f: f), Krum(f: f, neighbors: .paper),
      MultiKrum(f: f, q: 1),
      MDA(f: f), MoNNA(f: f), SMEA(f: f), CGE(f: f), CAF(f: f), Bulyan(f: f),
      NearestNeighborMixing(f: f), ARC(f: f),
    ]
    for rule in rules {
      #expect(throws: AggregationError.self, "\(rule)") { try rule.outputs(Self.vectors) }
    }
  }

  @Test("A number of vectors may be any number when it is only asked about")
  func extremeVectorCounts() {
    for n in [Int.min, -1, 0, 1, Int.max] {
      for entry in TestedRule.all {
        let rule = entry.make(5, 1, 1)
        _ = try? rule.validate(n: n)
        _ = (rule as? any PreAggregator)?.outputCount(n: n)
      }
      for size in [Int.min, -1, 0, 1, Int.max] { _ = Bucketing(size: size).outputCount(n: n) }
    }
    #expect(Bucketing(size: .max).outputCount(n: .max) == 1)
    #expect(Bucketing(size: 2).outputCount(n: 5) == 3)
  }

  @Test("A ratio trims as many values as it says, up to just below a half")
  func ratios() throws {
    let values = { (n: Int) in (0..<n).map { Tensor<Double>([Double($0 * $0)]) } }
    for (ratio, n, f) in [
      (0.29, 100, 29), (0.1, 10, 1), (0.3, 10, 3), (0.2, 9, 1), (0.5.nextDown, 2, 0),
      (0.5.nextDown, 7, 3),
    ] {
      let expected = try TrimmedMean(f: f).aggregate(values(n))
      #expect(try TrimmedMean(ratio: ratio).aggregate(values(n)) == expected, "\(ratio) of \(n)")
    }
  }

  @Test("The trusted vector is named when it is not finite")
  func reference() throws {
    var vectors = Self.vectors
    vectors[2] = [.nan, 1]
    #expect(throws: AggregationError.referenceNotFinite(index: 2)) {
      try MoNNA(f: 1, reference: 2).aggregate(vectors)
    }
  }

  @Test("A label flip refuses labels and classes that do not fit", arguments: [Int.min, -1, 0, 3])
  func labels(_ classes: Int) throws {
    #expect(throws: AttackError.self) { try LabelFlip().poison(labels: [0, 3], classes: classes) }
    #expect(try LabelFlip().poison(labels: [0, 1, 2], classes: 3) == [2, 1, 0])
    #expect(
      try LabelFlip(mapping: [0: 2, 2: 0]).poison(labels: [0, 1, 2], classes: 3) == [2, 1, 0])
    #expect(throws: AttackError.self) {
      try LabelFlip(mapping: [0: 9]).poison(labels: [0], classes: 3)
    }
  }

  @Test("A mapping to the largest number is refused, whether or not a label meets it")
  func largestLabel() {
    let attack = LabelFlip(mapping: [7: .max])
    #expect(throws: AttackError.labelOutOfRange(label: .max, classes: .max)) {
      try attack.poison(labels: Tensor<Double>([0, 1]))
    }
  }

  @Test("Bucketing has an order for every number of a round", arguments: [Int.min, -1, .max])
  func anyRound(_ round: Int) throws {
    let rule = Bucketing(size: 5, key: RandomKey(1)).forRound(round)
    #expect(try rule.preAggregate(Self.vectors) == [[2, 1]])
  }

  @Test(
    "A matrix without columns is refused, however many rows it has", arguments: [0, 3, 1 << 50])
  func noColumns(_ n: Int) throws {
    let matrix = try Tensor<Float>([], shape: [n, 0])
    #expect(throws: AggregationError.noVectors) { try Median().aggregate(matrix) }
  }

  @Test(
    "Pairs are two whole numbers each, or the value is a word",
    arguments: ["3>x>5", "3>5>7", "3>", "3>5/7"])
  func malformedPairs(_ text: String) {
    #expect(ParameterValue(parsing: text) == .text(text))
    #expect(ParameterValue(parsing: "3>5/5>3") == .mapping([3: 5, 5: 3]))
  }
}
