import ByzKit
import ByzTensor
import Testing

@Suite("Vectors near the end of double precision")
struct FarVectorTests {
  /// Seven honest vectors of this spread between one that is 100 everywhere and one that is `far` everywhere.
  static func vectors(far: Double, spread: Double) -> [Tensor<Double>] {
    let honest = (0..<7).map {
      Tensor<Double>.normal(shape: [5], deviation: spread, key: RandomKey(UInt64($0)))
    }
    return [Tensor(repeating: 100, shape: [5])] + honest + [Tensor(repeating: far, shape: [5])]
  }

  @Test(
    "do not make a rule let another bad vector in",
    arguments: [1e20, 1e60, 1e78, 1e100, 1e120, 1e151, 1e153, 1e160, 1e200, 1e308], [1e-6, 1])
  func far(_ far: Double, spread: Double) throws {
    let rules: [any Aggregator] = [
      SMEA(f: 2), CAF(f: 2), GeometricMedian(), MDA(f: 2), MultiKrum(f: 2, q: 5),
      MoNNA(f: 2, reference: 1),
      MeanAroundMedian(f: 2), TrimmedMean(f: 2), Median(),
      CenteredClipping(tau: spread, iterations: 10, start: .median),
    ]
    for rule in rules {
      let result = try rule.aggregate(Self.vectors(far: far, spread: spread)).elements
      #expect(result.allSatisfy { abs($0) < 10 * spread }, "\(rule.name): \(result)")
    }
  }

  @Test("two that are nearly equal do not hide a nearer one from CAF")
  func nearlyEqualFar() throws {
    let honest = [0, 0.1, -0.1, 0.2, -0.2, 0.3, -0.3]
    let result = try CAF(f: 3).aggregate((honest + [1e4, 1e11, 1e11 + 1e-3]).map { Tensor([$0]) })
    #expect(abs(result.elements[0]) < 0.3)
  }

  @Test("count as not finite beyond the squares of double precision, whatever a rule measures")
  func beyondSquares() throws {
    let vectors: [Tensor<Double>] = [[1e200], [-1e200], [0]]
    for rule in [MDA(f: 1), MoNNA(f: 1, reference: 2), CGE(f: 1)] as [any Aggregator] {
      #expect(throws: AggregationError.tooManyNonFinite(count: 2, allowed: 1), "\(rule.name)") {
        try rule.aggregate(vectors)
      }
    }
    #expect(try MDA(f: 1).aggregate([[1e200], [2], [0]] as [Tensor<Double>]).elements == [1])
  }
}
