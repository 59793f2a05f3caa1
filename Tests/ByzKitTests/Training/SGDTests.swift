import ByzKit
import ByzTensor
import Testing

@Suite("SGD")
struct SGDTests {
  @Test("takes PyTorch's steps with momentum and weight decay")
  func steps() throws {
    let sgd = SGD(learningRate: 0.5, momentum: 0.5, weightDecay: 0.25)
    var parameters: Tensor<Float> = [8, -4]
    var state = SGD.State()
    try sgd.update(&parameters, with: [2, 1], state: &state)
    // v = g + λθ = [4, 0]; θ - v/2 = [6, -4]
    #expect(parameters == [6, -4])
    #expect(state.velocity == [4, 0])
    try sgd.update(&parameters, with: [0.5, -1], state: &state)
    // v = [4, 0]/2 + [0.5, -1] + [1.5, -1] = [4, -2]
    #expect(parameters == [4, -3])
    #expect(state.step == 2)
  }

  @Test("continues from a saved state with the same bits")
  func resumes() throws {
    let sgd = SGD(learningRate: .cosine(initial: 0.1, final: 0, steps: 10), momentum: 0.9)
    var numbers = TestNumbers(seed: 1)
    let gradients = (0..<6).map { _ in Tensor(numbers.vector(20)) }
    func run(_ range: Range<Int>, _ start: (Tensor<Float>, SGD.State)) throws -> (
      Tensor<Float>, SGD.State
    ) {
      var (parameters, state) = start
      for i in range { try sgd.update(&parameters, with: gradients[i], state: &state) }
      return (parameters, state)
    }
    let start = (Tensor<Float>(repeating: 1, shape: [20]), SGD.State())
    let whole = try run(0..<6, start)
    let half = try run(0..<3, start)
    let resumed = try run(3..<6, (half.0, SGD.State(velocity: half.1.velocity, step: half.1.step)))
    #expect(resumed.0.hasSameBits(as: whole.0))
  }

  @Test("schedules hold, step down and fall along a cosine")
  func schedules() {
    let constant: LearningRate = 0.1
    #expect([0, 5, 1000].map { constant.rate(at: $0) } == [0.1, 0.1, 0.1])
    let step = LearningRate.step(initial: 8, every: 3, factor: 0.5)
    #expect((0..<8).map { step.rate(at: $0) } == [8, 8, 8, 4, 4, 4, 2, 2])
    let cosine = LearningRate.cosine(initial: 3, final: 1, steps: 4)
    let expected = [3, 2 + 0.5.squareRoot(), 2, 2 - 0.5.squareRoot(), 1, 1]
    for (i, rate) in expected.enumerated() { #expect(abs(cosine.rate(at: i) - rate) < 1e-12) }
  }

  @Test(
    "refuses rates out of range and leaves the parameters alone",
    arguments: [
      SGD(learningRate: -0.1), SGD(learningRate: .constant(.nan)),
      SGD(learningRate: 0.1, momentum: 1), SGD(learningRate: 0.1, momentum: -0.5),
      SGD(learningRate: 0.1, weightDecay: -1), SGD(learningRate: 0.1, weightDecay: .infinity),
      SGD(learningRate: .step(initial: 1, every: 0, factor: 1)),
      SGD(learningRate: .cosine(initial: 1, final: 0, steps: 0)),
    ])
  func refusals(_ sgd: SGD) {
    var parameters: Tensor<Float> = [1]
    var state = SGD.State()
    #expect(throws: ModelError.self) { try sgd.update(&parameters, with: [1], state: &state) }
    #expect(parameters == [1] && state.step == 0)
  }

  @Test("refuses a gradient or a velocity of another length")
  func lengths() {
    var parameters: Tensor<Float> = [1, 2]
    var state = SGD.State()
    #expect(throws: ModelError.wrongParameterCount(expected: 2, actual: 1)) {
      try SGD(learningRate: 0.1).update(&parameters, with: [1], state: &state)
    }
    state.velocity = [1, 2, 3]
    #expect(throws: ModelError.wrongParameterCount(expected: 2, actual: 3)) {
      try SGD(learningRate: 0.1).update(&parameters, with: [1, 1], state: &state)
    }
  }
}
