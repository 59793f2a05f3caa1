import ByzKit
import ByzTensor
import Testing

@Suite("Weighted mean, by hand")
struct WeightedMeanTests {
  @Test("Each vector counts by its number of samples")
  func samples() throws {
    let vectors: [Tensor<Float>] = [[0, 8], [4, 0], [8, 4]]
    #expect(try WeightedMean(weights: [1, 2, 1]).aggregate(vectors) == [4, 3])
    #expect(try WeightedMean(weights: [100, 300, 0]).aggregate(vectors) == [3, 2])
    #expect(try WeightedMean(weights: [0, 0, 1e-300]).aggregate(vectors) == [8, 4])
  }

  @Test("A vector of weight 0 is ignored, even if it is not finite; any other spreads")
  func ignored() throws {
    let vectors: [Tensor<Double>] = [[2], [.nan], [6]]
    #expect(try WeightedMean(weights: [3, 0, 1]).aggregate(vectors) == [3])
    #expect(try WeightedMean(weights: [3, 1e-9, 1]).aggregate(vectors).elements[0].isNaN)
  }
}

@Suite("Uniform noise, by hand")
struct UniformNoiseTests {
  @Test("Draws lie in -scale ..< scale, with mean 0 and variance scale²/3")
  func distribution() throws {
    let draws: Tensor<Double> = try UniformNoise(scale: 3).craft(shape: [20_000], key: RandomKey(1))
    #expect(draws.elements.allSatisfy { $0 >= -3 && $0 < 3 })
    let mean = draws.elements.reduce(0, +) / 20_000
    let variance = draws.elements.reduce(0) { $0 + $1 * $1 } / 20_000
    // Four standard errors.
    #expect(abs(mean) < 4 * 3.0.squareRoot() / 20_000.0.squareRoot())
    #expect(abs(variance - 3) < 4 * 9 * (4.0 / 45).squareRoot() / 20_000.0.squareRoot())
  }

  @Test("A key names its draws, element by element")
  func keys() throws {
    let noise = UniformNoise()
    let short: Tensor<Float> = try noise.craft(shape: [10], key: RandomKey(7))
    let long: Tensor<Float> = try noise.craft(shape: [10, 10], key: RandomKey(7))
    let other: Tensor<Float> = try noise.craft(shape: [10], key: RandomKey(8))
    #expect(Array(long.elements.prefix(10)) == short.elements && long.shape == [10, 10])
    #expect(other != short)
  }

  @Test(
    "A scale of 0 gives zeros; one that is negative or not finite is refused",
    arguments: [-1, Double.nan, .infinity])
  func scales(_ scale: Double) throws {
    let zeros: Tensor<Float> = try UniformNoise(scale: 0).craft(shape: [3], key: RandomKey(1))
    #expect(zeros == [0, 0, 0])
    #expect(throws: AttackError.self) {
      let _: Tensor<Float> = try UniformNoise(scale: scale).craft(shape: [3], key: RandomKey(1))
    }
  }
}

@Suite("Attacks, by hand")
struct AttackTests {
  static let honest: [Tensor<Double>] = [[1, 2], [3, 2]]

  @Test("Each attack on two honest gradients")
  func two() throws {
    #expect(try Empire().craft(honest: Self.honest) == [-2, -2])
    #expect(try InnerProductManipulation().craft(honest: Self.honest) == [-4, -4])
    #expect(try Mimic(index: 1).craft(honest: Self.honest) == [3, 2])
    #expect(try Infinity().craft(honest: Self.honest) == [.infinity, .infinity])
    // Sample deviation √2 in the first coordinate, 0 in the second.
    let alie = try ALIE(tau: 2).craft(honest: Self.honest)
    #expect(abs(alie[0] - (2 + 2 * 2.0.squareRoot())) < 1e-14 && alie[1] == 2)
    #expect(try SignFlip().craft(own: Self.honest[0]) == [-1, -2])
    #expect(try Scaling().craft(own: Self.honest[0]) == [10, 20])
    #expect(
      try ModelReplacement(gamma: 3).craft(global: Self.honest[0], target: Self.honest[1]) == [
        7, 2,
      ])
  }

  @Test("A little is enough of three attackers among ten: z = Φ⁻¹(0.7)")
  func little() throws {
    // s = ⌊10/2⌋ + 1 - 3 = 3; the deviation with divisor n is 1.
    let sent = try Little(f: 3, workers: 10).craft(honest: Self.honest)
    #expect(abs(sent[0] - (2 + 0.524_400_512_708_041)) < 1e-12 && sent[1] == 2)
  }
}

@Suite("Optimised attacks, by hand")
struct OptimizedAttackTests {
  @Test(
    "Against the mean every step helps, so the steps double: 0, 10, 30, 70",
    arguments: [(1, 0), (2, 10), (3, 30), (4, 70)])
  func expansion(_ evaluations: Int, _ strength: Double) throws {
    let honest: [Tensor<Double>] = [[1, 0], [3, 0]]
    for family in OptimizedAttack.Family.allCases {
      let attack = OptimizedAttack(family, evaluations: evaluations)
      #expect(try attack.strength(honest: honest, against: Mean(), f: 1) == strength)
    }
    // -τμ of the mean [2, 0].
    let sent = try OptimizedAttack(.innerProduct, evaluations: evaluations).craft(
      honest: honest, against: Mean(), f: 1)
    #expect(sent == [-2 * strength, 0])
  }

  /// CGE drops the longest of 2, 3, 4 and -3τ. While 3τ < 4 that is 4, and the error (4 + 3τ)/3 grows with τ; beyond it is the
  /// attacker, and there is no error. From τ = 1 the tries are 1 + 2·0.8ᵏ, of which 1 + 2·0.8⁹ is the first below 4/3.
  @Test(
    "Steps that do not help shrink until one does",
    arguments: [(1, 0), (2, 1), (11, 1), (12, 1.268_435_456)])
  func contraction(_ evaluations: Int, _ strength: Double) throws {
    let attack = OptimizedAttack(
      .innerProduct, evaluations: evaluations, start: 0, delta: 1, ratio: 0.8)
    let honest: [Tensor<Double>] = [[2], [3], [4]]
    #expect(abs(try attack.strength(honest: honest, against: CGE(f: 1), f: 1) - strength) < 1e-12)
  }

  @Test("A step that changes nothing does not help")
  func indifference() throws {
    // The trimmed mean drops -τ for every τ ≥ 0.
    let honest: [Tensor<Double>] = [[0], [1], [2]]
    let attack = OptimizedAttack(.innerProduct)
    #expect(try attack.strength(honest: honest, against: TrimmedMean(f: 1), f: 1) == 0)
  }

  @Test("A search whose steps double beyond all numbers still ends")
  func overflow() throws {
    let attack = OptimizedAttack(.innerProduct, evaluations: 50, start: 1e308, delta: 1e308)
    #expect(try attack.strength(honest: [Tensor<Double>([1e-200])], against: Mean(), f: 1).isFinite)
  }

  @Test(
    "An f that the rule cannot tolerate, or nobody can, is refused",
    arguments: [Int.min, -1, 0, 2, .max / 2, .max])
  func counts(_ f: Int) {
    let honest: [Tensor<Double>] = [[0], [1]]
    #expect(throws: (any Error).self) {
      try OptimizedAttack(.alie).strength(honest: honest, against: TrimmedMean(f: 2), f: f)
    }
  }

  @Test("Illegal searches are refused")
  func parameters() {
    let honest: [Tensor<Double>] = [[0], [1]]
    for attack in [
      OptimizedAttack(.alie, evaluations: 0), OptimizedAttack(.alie, start: .nan),
      OptimizedAttack(.alie, delta: 0),
      OptimizedAttack(.alie, delta: .infinity), OptimizedAttack(.alie, ratio: 0.5),
      OptimizedAttack(.alie, ratio: 1),
    ] {
      #expect(throws: AttackError.self) { try attack.craft(honest: honest, against: Mean(), f: 1) }
    }
  }
}
