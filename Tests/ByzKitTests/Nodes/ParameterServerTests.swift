import ByzKit
import Foundation
import Testing

@Suite("Parameter server", .timeLimit(.minutes(3)))
struct ParameterServerTests {
  @Test("learns with a median although two of nine lie, and does not with the mean")
  func learnsUnderAttack() async throws {
    let problem = try Problem()
    var robust = try problem.server(
      honest: 7, attack: Empire(scale: -10), byzantine: 2, rule: .median)
    var fooled = try problem.server(
      honest: 7, attack: Empire(scale: -10), byzantine: 2, rule: .mean)
    for _ in 0..<30 {
      try await robust.round()
      try await fooled.round()
    }
    #expect(try problem.model.accuracy(at: robust.parameters, on: problem.data) > 0.95)
    #expect(try problem.model.accuracy(at: fooled.parameters, on: problem.data) < 0.5)
  }

  @Test("gives the same bits in the calling task and on 1, 2 and 4 workers")
  func sameBitsOnAPool() async throws {
    let problem = try Problem()
    func train(on pool: ActorPool?) async throws -> Tensor<Float> {
      var server = try problem.server(
        honest: 5, attack: Gaussian(), byzantine: 1,
        rule: NearestNeighborMixing(f: 1).then(MultiKrum(f: 1, q: 3)))
      for _ in 0..<6 { try await server.round(on: pool) }
      return server.parameters
    }
    let expected = try await train(on: nil)
    for workers in [1, 2, 4] {
      let actual = try await withActorPool(.threads(workers)) { try await train(on: $0) }
      #expect(actual.hasSameBits(as: expected), "\(workers) workers")
    }
  }

  @Test("goes on from a copy as if it had not stopped")
  func copyIsACheckpoint() async throws {
    let problem = try Problem()
    var server = try problem.server(honest: 4, rule: .mean)
    for _ in 0..<3 { try await server.round() }
    var copy = server
    for _ in 0..<3 {
      try await server.round()
      try await copy.round()
    }
    #expect(copy.parameters.hasSameBits(as: server.parameters))
    #expect(copy.roundsDone == 6)
  }

  @Test("is written after what its caller keeps of a round, and once more where it is missing")
  func checkpoint() async throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).checkpoint").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let plan = CheckpointPlan(path: path, every: 2)
    var server = try Problem().server(honest: 3, rule: .median)
    try await server.train(rounds: 5, keeping: plan) { _, server in
      let written = try? Checkpoint(contentsOf: path)
      #expect(written?.roundsDone ?? 0 == (server.roundsDone - 1) / 2 * 2)
    }
    #expect(try Checkpoint(contentsOf: path).roundsDone == 5)
    try FileManager.default.removeItem(atPath: path)
    try await server.train(rounds: 5, keeping: plan)
    #expect(try Checkpoint(contentsOf: path).roundsDone == 5)
  }

  @Test("takes no step that would leave the parameters infinite")
  func infiniteStepIsNotTaken() async throws {
    let problem = try Problem()
    var server = try problem.server(honest: 4, attack: Infinity(), byzantine: 1, rule: .mean)
    let before = server.parameters
    let report = try await server.round()
    #expect(report.step == .notFinite)
    #expect(server.parameters.hasSameBits(as: before))
    #expect(server.roundsDone == 1)
  }

  @Test("is as before when the last of its nodes was cancelled")
  func cancelledNode() async throws {
    let problem = try Problem()
    let server = try ParameterServer(
      honest: problem.honest(2) { node in
        if node == 1 { withUnsafeCurrentTask { $0?.cancel() } }
      }, aggregator: .median, optimizer: SGD(learningRate: 0.1),
      parameters: problem.model.initialParameters(key: problem.key), policy: RoundPolicy(quorum: 2))
    let round = Task { [server] in
      var next = server
      defer { #expect(next.roundsDone == 0) }
      try await next.round()
    }
    await #expect(throws: CancellationError.self) { try await round.value }
  }

  @Test(
    "an attack on the model knows the rate that the server steps with, after rounds without a step")
  func rateAfterIdleRounds() async throws {
    let problem = try Problem()
    func parameters(_ rate: LearningRate) async throws -> Tensor<Float> {
      let honest = try problem.honest(2)
      let liar = try ByzantineNode(
        name: "liar", attack: ModelReplacement(gamma: 3), own: honest[0], key: RandomKey(1))
      var server = try ParameterServer(
        honest: honest, byzantine: [liar], aggregator: .mean, optimizer: SGD(learningRate: rate),
        parameters: problem.model.initialParameters(key: problem.key))
      // One round is over, and no step was taken in it.
      try server.resume(
        from: Checkpoint(
          roundsDone: 1, parameters: server.parameters, optimizerState: SGD.State()))
      try await server.round()
      return server.parameters
    }
    let decaying = try await parameters(.step(initial: 0.1, every: 1, factor: 0.5))
    let constant = try await parameters(.constant(0.1))
    #expect(decaying.hasSameBits(as: constant))
  }

  @Test(
    "refuses an optimizer whose rates are out of range, and data that does not fit, before any round"
  )
  func impossibleOptimizer() throws {
    let problem = try Problem()
    let parameters = problem.model.initialParameters(key: problem.key)
    #expect(throws: ModelError.self) {
      try ParameterServer(
        honest: problem.honest(2), aggregator: .median,
        optimizer: SGD(learningRate: 0.1, momentum: 1), parameters: parameters)
    }
    let other = try Problem(classes: 4).honest(1)[0]
    let liar = try ByzantineNode(name: "liar", attack: SignFlip(), own: other, key: RandomKey(1))
    #expect(
      throws: ModelError.wrongParameterCount(
        expected: other.model.parameterCount, actual: parameters.count)
    ) {
      try ParameterServer(
        honest: problem.honest(2), byzantine: [liar], aggregator: .median,
        optimizer: SGD(learningRate: 0.1), parameters: parameters)
    }
  }

  @Test("reports a rule that refuses, and goes on")
  func refusalIsAnOutcome() async throws {
    let problem = try Problem()
    var server = try problem.server(honest: 5, attack: Infinity(), byzantine: 2, rule: .krum(f: 1))
    #expect(try await server.round().step == .refused(.tooManyNonFinite(count: 2, allowed: 1)))
  }

  @Test("reports a node that fails, and aggregates the others")
  func failingNodeIsAnOutcome() async throws {
    let problem = try Problem()
    let broken = try HonestNode(
      name: "broken", model: WatchedModel(base: problem.model) { throw ModelError.emptyBatch },
      data: problem.data[0..<4], batchSize: 2, key: RandomKey(3))
    var server = try ParameterServer(
      honest: problem.honest(3) + [broken], aggregator: .mean,
      optimizer: SGD(learningRate: .constant(0.1)),
      parameters: problem.model.initialParameters(key: problem.key))
    let report = try await server.round()
    #expect(report.step == .taken)
    #expect(report.nodes.map(\.name) == ["honest-0", "honest-1", "honest-2", "broken"])
    #expect(report.nodes.map { $0.failure == nil } == [true, true, true, false])
    #expect(report.meanLoss != nil)
  }

  @Test("takes a vector of the wrong shape as its sender's failure, not everyone's")
  func wrongShapeIsItsSendersFailure() async throws {
    struct Short: BlindAttack {
      func validate() {}
      func craft<Element>(shape: [Int], key: RandomKey) -> Tensor<Element> { [1, 2] }
    }
    let problem = try Problem()
    var server = try problem.server(honest: 4, attack: Short(), byzantine: 1, rule: .median)
    let report = try await server.round()
    #expect(report.step == .taken)
    #expect(report.nodes.map { $0.failure == nil } == [true, true, true, true, false])
  }

  @Test("refuses a rule that cannot work for its number of nodes, before any round")
  func impossibleRule() throws {
    let problem = try Problem()
    #expect(throws: AggregationError.self) {
      try problem.server(honest: 3, byzantine: 2, rule: .bulyan(f: 2))
    }
  }

  @Test(
    "refuses an attack with a parameter out of its range, before any round",
    arguments: [
      Gaussian(deviation: -1), Empire(scale: .nan), SignFlip(scale: .infinity), Mimic(index: 4),
      ModelReplacement(gamma: .nan), LabelFlip(mapping: [0: 7]), OptimizedAttack(.alie, ratio: 2),
    ] as [any Attack])
  func impossibleAttack(attack: any Attack) throws {
    let problem = try Problem()
    #expect(throws: (any Error).self) {
      try problem.server(honest: 4, attack: attack, byzantine: 1, rule: .median)
    }
  }

  @Test("draws the order of bucketing anew in every round")
  func bucketingDrawsAnew() async throws {
    let rule = Bucketing(size: 2, key: RandomKey(5)).then(Median())
    let vectors = (0..<6).map { Tensor<Float>([Float($0 * $0)]) }
    let results = try (0..<8).map { try rule.forRound($0).aggregate(vectors)[0] }
    #expect(Set(results).count > 1)
    #expect(try rule.forRound(3).aggregate(vectors)[0] == results[3])
  }
}

@Suite("Nodes")
struct NodeTests {
  @Test("an honest node passes over all its data before it repeats any")
  func batchesCoverTheShard() throws {
    let problem = try Problem()
    let node = try problem.honest(3)[0]  // 32 inputs, batches of 8
    let first = (0..<4).flatMap { node.batch(round: $0).inputs.rows.map(\.elements) }
    #expect(Set(first).count == 32)
    #expect(node.batch(round: 2).labels == node.batch(round: 2).labels)
    #expect(
      (0..<4).flatMap { node.batch(round: $0).labels }
        != (4..<8).flatMap { node.batch(round: $0).labels })
  }

  @Test("a Byzantine node without data cannot use an attack that needs some")
  func attackNeedsData() {
    for attack in [SignFlip(), LabelFlip()] as [any Attack] {
      #expect(throws: AttackError.self) {
        try ByzantineNode(name: "liar", attack: attack, key: RandomKey(0))
      }
    }
  }

  @Test("a label flipper moves the model away from what an honest node would teach it")
  func labelFlipDiffers() async throws {
    let problem = try Problem()
    var flipped = try problem.server(honest: 1, attack: LabelFlip(), byzantine: 1, rule: .mean)
    var honest = try problem.server(honest: 1, rule: .mean)
    for _ in 0..<20 {
      try await flipped.round()
      try await honest.round()
    }
    let model = problem.model
    #expect(
      try model.accuracy(at: flipped.parameters, on: problem.data)
        < model.accuracy(at: honest.parameters, on: problem.data))
  }

  @Test("model replacement lands the mean of all workers on the target")
  func modelReplacementLands() async throws {
    let problem = try Problem()
    let honest = try problem.honest(3)
    let liar = try ByzantineNode(
      name: "liar", attack: ModelReplacement(gamma: 4), key: RandomKey(0))
    var server = try ParameterServer(
      honest: honest, byzantine: [liar], aggregator: .mean,
      optimizer: SGD(learningRate: .constant(1e-3)),
      parameters: problem.model.initialParameters(key: problem.key))
    try await server.round()
    // G - η·(γ(G - T)/η)/n = T = 0 for γ = n, but for the small honest steps.
    #expect(server.parameters.elements.allSatisfy { abs($0) < 1e-2 })
  }
}

@Suite("Every rule against every attack")
struct RuleAttackGridTests {
  static let parameters: [String: ParameterValue] = [
    "f": .integer(2), "q": .integer(5), "tau": .number(1), "gamma": .number(11),
    "weights": .numbers((1...11).map(Double.init)),
  ]

  static func make<Product>(_ entry: CatalogEntry<Product>) throws -> Product {
    let names = Set(entry.parameters.map(\.name))
    return try entry.make(Parameters(parameters.filter { names.contains($0.key) }))
  }

  @Test(
    "trains for five rounds at n = 11, f = 2 and keeps finite parameters",
    arguments: Catalog.aggregators.map(\.name))
  func grid(rule name: String) async throws {
    let problem = try Problem()
    let rule = try Self.make(Catalog.aggregator(name))
    for entry in Catalog.attacks {
      let attack = try Self.make(entry)
      guard !(attack is any TargetedAttack) else {
        // A server hears one lie only.
        #expect(throws: AttackError.self) {
          try problem.server(honest: 9, attack: attack, byzantine: 2, rule: rule)
        }
        continue
      }
      var server = try problem.server(honest: 9, attack: attack, byzantine: 2, rule: rule)
      for _ in 0..<5 {
        let report = try await server.round()
        #expect(report.nodes.allSatisfy { $0.failure == nil }, "\(name) against \(entry.name)")
      }
      #expect(
        server.parameters.elements.allSatisfy { $0.isFinite }, "\(name) against \(entry.name)")
    }
  }
}
