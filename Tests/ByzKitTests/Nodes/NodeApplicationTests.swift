import ByzKit
import Testing

/// `x + addend`.
private struct Add: Operator {
  let addend: Int
  var inputNames: [String] { ["x"] }

  func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws -> any Sendable {
    try inputs.value("x", as: Int.self) + addend
  }
}

@Suite("Node applications", .timeLimit(.minutes(3)))
struct NodeApplicationTests {
  private func graph(adding addend: Int) throws -> ComputationGraph {
    try ComputationGraph(
      nodes: [GraphNode("y", Add(addend: addend), inputs: ["x": .input("x")])], outputs: ["y"])
  }

  @Test("run the pipeline that is named, and list those there are")
  func names() async throws {
    var application = NodeApplication(name: "node")
    try application.register("one", graph(adding: 1))
    try application.register("ten", graph(adding: 10))
    #expect(application.pipelines == ["one", "ten"])
    #expect(try await application.run("ten", ["x": 5]).value(of: "y") == 15)
    await #expect(
      throws: NodeApplicationError.unknownPipeline("two", node: "node", known: ["one", "ten"])
    ) {
      try await application.run("two", ["x": 5])
    }
  }

  @Test("refuse a second pipeline of a name, and keep the first")
  func duplicate() async throws {
    var application = NodeApplication(name: "node")
    try application.register("one", graph(adding: 1))
    #expect(throws: NodeApplicationError.duplicatePipeline("one", node: "node")) {
      try application.register("one", graph(adding: 2))
    }
    #expect(application.pipelines == ["one"])
    #expect(try await application.run("one", ["x": 5]).value(of: "y") == 6)
  }

  @Test("aggregate by the rule as it is in the round")
  func rounds() async throws {
    let node = try Problem().honest(1)[0]
    let rule = Bucketing(size: 2, key: RandomKey(3)).then(Median())
    let application = try HonestNodeApplication(node, aggregator: rule)
    let vectors = (0..<9).map { Tensor<Float>.normal(shape: [5], key: RandomKey($0)) }
    var found: [Tensor<Float>] = []
    for round in 0..<2 {
      found.append(try await application.aggregate(vectors, round: round))
      #expect(try found[round].hasSameBits(as: rule.forRound(round).aggregate(vectors)))
    }
    #expect(!found[0].hasSameBits(as: found[1]))
  }

  @Test("overlap without disturbing each other, on one node and one pool")
  func overlap() async throws {
    let problem = try Problem()
    let honest = try problem.honest(3)
    let parameters = problem.model.initialParameters(key: problem.key)
    let gradients = try honest.map { try $0.gradient(at: parameters, round: 0).gradient }
    try await withActorPool(.threads(3)) { pool in
      let scheduler = GraphScheduler(pool: pool)
      var node = try HonestNodeApplication(honest[0], aggregator: .median, scheduler: scheduler)
      try node.application.register("ten", graph(adding: 10))
      let running = node
      let isRight = try await withThrowingTaskGroup(of: Bool.self) { group in
        for i in 0..<60 {
          group.addTask {
            switch i % 3 {
            case 0:
              let output = try await running.application.run("ten", ["x": i])
              return try output.value(of: "y", as: Int.self) == i + 10
            case 1:
              let scale = Float(i)
              let scaled = gradients.map { Tensor($0.elements.map { scale * $0 }) }
              return try await running.aggregate(scaled)
                .hasSameBits(as: Median().aggregate(scaled))
            default:
              let result = try await running.honestGradient(at: parameters, round: i)
              let expected = try honest[0].gradient(at: parameters, round: i)
              return result.loss == expected.loss
                && result.gradient.hasSameBits(as: expected.gradient)
            }
          }
        }
        return try await group.allSatisfy { $0 }
      }
      #expect(isRight)
    }
  }

  @Test("borrow the pool: one that is gone leaves it to the others")
  func borrowedPool() async throws {
    let problem = try Problem()
    let nodes = try problem.honest(2)
    let parameters = problem.model.initialParameters(key: problem.key)
    try await withActorPool(.threads(1)) { pool in
      for node in nodes {
        let application = try HonestNodeApplication(
          node, aggregator: .mean, scheduler: GraphScheduler(pool: pool))
        _ = try await application.honestGradient(at: parameters, round: 0)
      }
      #expect(pool.statistics.map(\.completed) == [2])
    }
  }

  @Test("refuse an attack that no protocol says the sight of, and a round below 0")
  func impossibleAttacks() async throws {
    struct Sightless: Attack {
      let name = "sightless"
      let inputNames: [String] = []
      func run(_ inputs: OperatorInputs, in context: OperatorContext) -> any Sendable { 0 }
    }
    let problem = try Problem()
    let parameters = problem.model.initialParameters(key: problem.key)
    for (attack, round) in [(Sightless(), 0), (Gaussian(), -1)] as [(any Attack, Int)] {
      let liar = try ByzantineNode(name: "liar", attack: attack, key: RandomKey(1))
      let application = try ByzantineNodeApplication(
        liar, against: .median, learningRate: .constant(0.1))
      await #expect(throws: (any Error).self) {
        _ = try await application.attack(
          honest: [parameters], parameters: parameters, round: round)
      }
    }
  }

  @Test(
    "make every attack with what its type sees, on the calling task and on a pool",
    arguments: [
      Empire(), SignFlip(), LabelFlip(), Gaussian(), ModelReplacement(gamma: 3),
      OptimizedAttack(.alie),
    ] as [any Attack])
  func attacks(attack: any Attack) async throws {
    let problem = try Problem()
    let honest = try problem.honest(4)
    let parameters = problem.model.initialParameters(key: problem.key)
    let gradients = try honest.map { try $0.gradient(at: parameters, round: 2).gradient }
    let liar = try ByzantineNode(name: "liar", attack: attack, own: honest[0], key: RandomKey(1))
    func vector(on pool: ActorPool?) async throws -> Tensor<Float> {
      try await ByzantineNodeApplication(
        liar, against: .median, learningRate: .constant(0.1),
        scheduler: GraphScheduler(pool: pool, chunkSize: 8)
      ).attack(honest: gradients, parameters: parameters, round: 2)
    }
    let alone = try await vector(on: nil)
    let pooled = try await withActorPool(.threads(2)) { (pool) async throws -> Tensor<Float> in
      let vector = try await vector(on: pool)
      let isPooled = pool.statistics.contains { $0.completed > 0 }
      #expect(isPooled == (attack is any OmniscientAttack || attack is any OwnGradientAttack))
      return vector
    }
    #expect(alone.count == parameters.count)
    #expect(alone.hasSameBits(as: pooled))
    #expect(!alone.hasSameBits(as: gradients[0]))
  }

  @Test("wait for messages where a pipeline does")
  func messages() async throws {
    let builder = GraphBuilder()
    let step = Median()(builder.message("gradients", as: [Tensor<Float>].self))
    var application = NodeApplication(name: "node")
    try application.register("step", builder.build(step))
    let inbox = MessageInbox()
    let running = application
    async let outputs = running.run("step", messages: inbox)
    try await inbox.deliver([[1], [5], [2]] as [Tensor<Float>], type: "gradients")
    #expect(try await outputs.value(of: step).elements == [2])
  }

  @Test("a rule that iterates reads an input of any name, also on a pool")
  func anyInputName() async throws {
    let vectors = (0..<5).map { Tensor<Float>.normal(shape: [300], key: RandomKey(UInt64($0))) }
    for rule in [GeometricMedian(), CenteredClipping(tau: 1)] as [any Aggregator] {
      let graph = try ComputationGraph(
        nodes: [GraphNode("step", rule, inputs: ["vectors": .input("what the nodes sent")])],
        outputs: ["step"])
      let pooled: Tensor<Float> = try await withActorPool(.threads(2)) { pool in
        let result: Tensor<Float> = try await GraphScheduler(pool: pool, chunkSize: 64)
          .run(graph, ["what the nodes sent": vectors]).value(of: "step")
        #expect(pool.statistics.reduce(0) { $0 + $1.completed } > 0)
        return result
      }
      #expect(try pooled.hasSameBits(as: rule.aggregate(vectors)))
    }
  }

  @Test("a negative round is refused, with a pool and without")
  func negativeRound() async throws {
    let problem = try Problem()
    let node = try problem.honest(1)[0]
    let parameters = problem.model.initialParameters(key: problem.key)
    let refusal = ModelError.invalidHyperparameter(name: "round", value: -1, bound: "at least 0")
    let alone = try HonestNodeApplication(node, aggregator: .mean)
    await #expect(throws: refusal) {
      try await alone.honestGradient(at: parameters, round: -1)
    }
  }

  @Test("a node is not made of data that its model cannot take")
  func unfitData() throws {
    let model = try SoftmaxRegression(inputs: 3, classes: 2)
    func node(inputs: Int, labels: [Int]) throws -> HonestNode {
      try HonestNode(
        name: "unfit", model: model,
        data: Batch(
          inputs: Tensor<Float>(repeating: 1, shape: [labels.count, inputs]), labels: labels),
        batchSize: 1, key: RandomKey(0))
    }
    _ = try node(inputs: 3, labels: [0, 1])
    #expect(throws: ModelError.wrongInputCount(expected: 3, actual: 4)) {
      try node(inputs: 4, labels: [0, 1])
    }
    for label in [-1, 2] {
      #expect(throws: ModelError.invalidLabel(label, index: 1, classes: 2)) {
        try node(inputs: 3, labels: [0, label])
      }
    }
  }
}
