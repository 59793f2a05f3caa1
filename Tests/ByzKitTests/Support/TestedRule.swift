import ByzKit
import ByzRuntime
import ByzTensor
import Testing

/// A rule as the laws know it: how to make it for n and f, its twin, and which laws hold.
struct TestedRule: Sendable, CustomTestStringConvertible {
  /// A change of the input that a rule's output follows.
  struct Symmetries: OptionSet, Sendable {
    let rawValue: Int
    /// The order of the vectors does not matter.
    static let permutation = Symmetries(rawValue: 1)
    /// Adding a vector to all inputs adds it to every output.
    static let translation = Symmetries(rawValue: 2)
    /// Both of them.
    static let both: Symmetries = [.permutation, .translation]
  }

  let name: String
  /// For which n and f it works.
  var bound: LegalCounts = .any
  var symmetries: Symmetries = .both
  /// Whether f vectors cannot move the output far.
  var isRobust = true
  var tolerance = Tolerance()
  /// The kinds of rows on which the answer does not hang on rounding.
  var kinds = RowKind.allCases
  /// The largest n that the twin can do in time.
  var twinLimit = Int.max
  /// Makes the rule for n vectors of which f are Byzantine; lengths such as τ are multiples of the last number.
  let make: @Sendable (Int, Int, Double) -> any Rule
  /// The outputs for rows, f and the length.
  let twin: @Sendable ([[Double]], Int, Double) -> [[Double]]

  var testDescription: String { name }

  /// The f to test with: about a quarter of n, as far as the rule allows.
  func f(n: Int) -> Int? {
    let wish = bound == .any || bound == .fewerThanAll ? LegalCounts.minority : bound
    return (0...max(0, n / 4)).last { wish.allows(n: n, f: $0) && bound.allows(n: n, f: $0) }
  }
}

extension Rule {
  /// What comes out, one vector or several.
  func outputs<E>(_ vectors: [Tensor<E>]) throws -> [Tensor<E>] {
    switch self {
    case let rule as any Aggregator: [try rule.aggregate(vectors)]
    case let rule as any PreAggregator: try rule.preAggregate(vectors)
    case let attack as any OmniscientAttack: [try attack.craft(honest: vectors)]
    default: throw AggregationError.noVectors
    }
  }

  /// The same on a pool.
  func outputs<E>(_ vectors: [Tensor<E>], on pool: ActorPool, chunkSize: Int?) async throws
    -> [Tensor<E>]
  {
    switch self {
    case let rule as any Aggregator:
      [try await rule.aggregate(vectors, on: pool, chunkSize: chunkSize)]
    case let rule as any PreAggregator:
      try await rule.preAggregate(vectors, on: pool, chunkSize: chunkSize)
    case let attack as any OmniscientAttack:
      [try await attack.craft(honest: vectors, on: pool, chunkSize: chunkSize)]
    default: throw AggregationError.noVectors
    }
  }
}

func hasSameBits<E>(_ a: [Tensor<E>], _ b: [Tensor<E>]) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { $0.hasSameBits(as: $1) }
}

extension TestedRule {
  static let all = aggregators + preAggregators + pipelines + attacks
  static let selfContained = aggregators + preAggregators

  static let aggregators = [
    TestedRule(
      name: "mean", isRobust: false, make: { _, _, _ in Mean() },
      twin: { x, _, _ in [Twin.mean(x)] }),
    TestedRule(
      name: "weighted mean", symmetries: .translation, isRobust: false,
      make: { n, _, _ in WeightedMean(weights: (0..<n).map { Double($0 % 3 + 1) }) },
      twin: { x, _, _ in
        let weights = x.indices.map { Double($0 % 3 + 1) }
        return [Twin.weighted(x, weights.map { $0 / weights.reduce(0, +) })]
      }),
    TestedRule(
      name: "median", make: { _, _, _ in Median() }, twin: { x, _, _ in [Twin.median(x)] }),
    TestedRule(
      name: "lower median", make: { _, _, _ in Median(middle: .lower) },
      twin: { x, _, _ in [Twin.median(x, lower: true)] }),
    TestedRule(
      name: "trimmed mean", bound: .minority, make: { _, f, _ in TrimmedMean(f: f) },
      twin: { x, f, _ in [Twin.trimmedMean(x, f: f)] }),
    TestedRule(
      name: "trimmed mean by ratio", make: { n, f, _ in TrimmedMean(ratio: Double(f) / Double(n)) },
      twin: { x, f, _ in [Twin.trimmedMean(x, f: f)] }),
    TestedRule(
      name: "mean around median", bound: .minority, make: { _, f, _ in MeanAroundMedian(f: f) },
      twin: { x, f, _ in [Twin.meanAroundMedian(x, f: f)] }),
    TestedRule(
      name: "Krum", bound: .minorityOfTwo, make: { _, f, _ in Krum(f: f) },
      twin: { x, f, _ in [Twin.multiKrum(x, f: f, q: 1)] }),
    TestedRule(
      name: "Krum with the paper's neighbours", bound: .minorityOfThree,
      make: { _, f, _ in Krum(f: f, neighbors: .paper) },
      twin: { x, f, _ in [Twin.multiKrum(x, f: f, q: 1, neighbors: x.count - f - 2)] }),
    TestedRule(
      name: "Multi-Krum", bound: .minorityOfTwo, make: { n, f, _ in MultiKrum(f: f, q: n - f) },
      twin: { x, f, _ in [Twin.multiKrum(x, f: f, q: x.count - f)] }),
    TestedRule(
      name: "geometric median", tolerance: Tolerance(float32: 2e-4, float64: 1e-7),
      make: { _, _, _ in GeometricMedian() }, twin: { x, _, _ in [Twin.geometricMedian(x)] }),
    TestedRule(
      name: "MDA", bound: .minority, twinLimit: 10, make: { _, f, _ in MDA(f: f) },
      twin: { x, f, _ in [Twin.mda(x, f: f)] }),
    TestedRule(
      name: "MoNNA", bound: .minority, symmetries: .translation,
      make: { n, f, _ in MoNNA(f: f, reference: n / 2) },
      twin: { x, f, _ in [Twin.moNNA(x, f: f, reference: x.count / 2)] }),
    TestedRule(
      name: "SMEA", bound: .minority, twinLimit: 9, make: { _, f, _ in SMEA(f: f) },
      twin: { x, f, _ in [Twin.smea(x, f: f)] }),
    TestedRule(
      name: "centered clipping from the mean", isRobust: false,
      tolerance: Tolerance(float32: 5e-5, float64: 1e-10),
      make: { _, _, l in CenteredClipping(tau: 2 * l, iterations: 5) },
      twin: { x, _, l in
        [
          Twin.centeredClipping(
            x, tau: 2 * l, iterations: 5, start: Twin.mean(x.filter(Twin.isFinite)))
        ]
      }),
    TestedRule(
      name: "centered clipping from the median",
      tolerance: Tolerance(float32: 5e-5, float64: 1e-10),
      make: { _, _, l in CenteredClipping(tau: 2 * l, iterations: 5, start: .median) },
      twin: { x, _, l in
        [Twin.centeredClipping(x, tau: 2 * l, iterations: 5, start: Twin.median(x))]
      }),
    TestedRule(
      name: "centered clipping from zero", symmetries: .permutation,
      tolerance: Tolerance(float32: 5e-5, float64: 1e-10),
      make: { _, _, l in CenteredClipping(tau: 2 * l, iterations: 5, start: .zero) },
      twin: { x, _, l in
        [Twin.centeredClipping(x, tau: 2 * l, iterations: 5, start: x[0].map { _ in 0 })]
      }),
    TestedRule(
      name: "CGE", bound: .fewerThanAll, symmetries: .permutation, make: { _, f, _ in CGE(f: f) },
      twin: { x, f, _ in [Twin.cge(x, f: f)] }),
    TestedRule(
      name: "CAF", bound: .minority, tolerance: Tolerance(float32: 1e-4, float64: 1e-7),
      // Ties leave the direction, and with it the order in which vectors are spent, to rounding.
      kinds: [.normal, .offset, .far, .tiny, .nonFinite], twinLimit: 40,
      make: { _, f, _ in CAF(f: f) },
      twin: { x, f, _ in [Twin.caf(x, f: f)] }),
    TestedRule(
      name: "Bulyan", bound: .quarter, make: { _, f, _ in Bulyan(f: f) },
      twin: { x, f, _ in [Twin.bulyan(x, f: f)] }),
  ]

  static let preAggregators = [
    TestedRule(
      name: "clipping", symmetries: [], make: { _, _, l in Clipping(threshold: l) },
      twin: { x, _, l in Twin.clipping(x, threshold: l) }),
    TestedRule(
      name: "bucketing", symmetries: .translation, isRobust: false,
      make: { n, _, _ in Bucketing(size: 3, permutation: Array((0..<n).reversed())) },
      twin: { x, _, _ in Twin.bucketing(x, size: 3, order: Array(x.indices.reversed())) }),
    TestedRule(
      name: "nearest-neighbour mixing", bound: .fewerThanAll, symmetries: .translation,
      isRobust: false,
      make: { _, f, _ in NearestNeighborMixing(f: f) },
      twin: { x, f, _ in Twin.nearestNeighborMixing(x, f: f) }),
    TestedRule(
      name: "mixing of a few neighbours", bound: .fewerThanAll, symmetries: .translation,
      isRobust: false,
      kinds: RowKind.allCases.filter { $0 != .nonFinite },
      make: { n, _, _ in NearestNeighborMixing(f: n - 1 - n / 3) },
      twin: { x, _, _ in Twin.nearestNeighborMixing(x, f: x.count - 1 - x.count / 3) }),
    TestedRule(
      name: "ARC", bound: .fewerThanAll, symmetries: [], make: { _, f, _ in ARC(f: f) },
      twin: { x, f, _ in Twin.arc(x, f: f) }),
  ]

  static let pipelines = [
    TestedRule(
      name: "mixing, then trimmed mean", bound: .minority,
      make: { _, f, _ in NearestNeighborMixing(f: f).then(TrimmedMean(f: f)) },
      twin: { x, f, _ in [Twin.trimmedMean(Twin.nearestNeighborMixing(x, f: f), f: f)] }),
    TestedRule(
      name: "ARC, then mixing, then median", bound: .minority, symmetries: .permutation,
      // Clipping rounds, so that exact ties part.
      kinds: RowKind.allCases.filter { $0 != .ties && $0 != .duplicates },
      make: { _, f, _ in ARC(f: f).then(NearestNeighborMixing(f: f)).then(Median()) },
      twin: { x, f, _ in [Twin.median(Twin.nearestNeighborMixing(Twin.arc(x, f: f), f: f))] }),
  ]

  static let attacks = [
    TestedRule(
      name: "Empire", isRobust: false, make: { _, _, _ in Empire(scale: -1.5) },
      twin: { x, _, _ in [Twin.mean(x).map { -1.5 * $0 }] }),
    TestedRule(
      name: "inner-product manipulation", isRobust: false,
      make: { _, _, _ in InnerProductManipulation(tau: 3) },
      twin: { x, _, _ in [Twin.mean(x).map { -3 * $0 }] }),
    TestedRule(
      name: "ALIE", isRobust: false, make: { _, _, _ in ALIE(tau: 1.25) },
      twin: { x, _, _ in [Twin.meanPlusDeviation(x, factor: 1.25, correction: 1)] }),
    TestedRule(
      name: "mimic", symmetries: .translation, isRobust: false,
      make: { n, _, _ in Mimic(index: n - 1) },
      twin: { x, _, _ in [x[x.count - 1]] }),
    TestedRule(
      name: "infinity", isRobust: false, make: { _, _, _ in Infinity() },
      twin: { x, _, _ in [x[0].map { _ in .infinity }] }),
  ]
}
