public import ByzRuntime
public import ByzTensor

/// A Byzantine node as a graph: `attack` makes what it sends, with whatever the attack's type lets
/// it see. Its own gradient and data come from the node itself.
public struct ByzantineNodeApplication: Sendable {
  /// The graph, to which more can be added.
  public var application: NodeApplication

  /// An application for a node.
  ///
  /// - Parameters:
  ///   - node: what attacks.
  ///   - rule: the rule that it attacks, for attacks that know it.
  ///   - attackers: f, how many attack together.
  ///   - learningRate: the server's, for attacks that aim at a model.
  ///   - scheduler: how and where the graph runs.
  public init(
    _ node: ByzantineNode, against rule: any Aggregator, attackers: Int = 1,
    learningRate: LearningRate, scheduler: GraphScheduler = GraphScheduler()
  ) throws {
    application = NodeApplication(name: node.name, scheduler: scheduler)
    let step = AttackStep(
      node: node, own: node.own.map { HonestGradientStep(residents: Residents([$0])) }, rule: rule,
      attackers: attackers, learningRate: learningRate)
    try application.register(
      "attack",
      ComputationGraph(
        nodes: [
          GraphNode(
            "attack", step,
            inputs: [
              "honest": .input(GraphInput("honest", as: [Tensor<Float>].self)),
              "parameters": .input(GraphInput("parameters", as: Tensor<Float>.self)),
              "round": .input(GraphInput("round", as: Int.self)),
            ])
        ], outputs: ["attack"]))
  }

  /// What the node sends in a round instead of a gradient.
  ///
  /// - Parameters:
  ///   - honest: the honest gradients of the round; an attack whose type does not see them is not
  ///     shown them.
  ///   - parameters: the model.
  ///   - round: the number of the round, from 0.
  /// - Throws: ``AttackError`` or ``AggregationError`` when the attack cannot be made, what the model
  ///   throws, `RuntimeError` of the pool, or `CancellationError`.
  public func attack(
    honest: [Tensor<Float>], parameters: Tensor<Float>, round: Int
  ) async throws -> Tensor<Float> {
    try await application.run(
      "attack", ["honest": honest, "parameters": parameters, "round": round]
    ).value(of: "attack")
  }
}

/// Makes a node's attack: on the pool where it reads all honest gradients or its own, which is computed there, else in the calling
/// task, so that any backend will do.
private struct AttackStep: Operator {
  let node: ByzantineNode
  /// The node's data, for attacks that see its own gradient.
  let own: HonestGradientStep?
  let rule: any Aggregator
  let attackers: Int
  let learningRate: LearningRate

  var name: String { "attack" }
  var inputNames: [String] { ["honest", "parameters", "round"] }

  func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws -> any Sendable {
    if let attack = node.attack as? any OmniscientAttack {
      return try await attack.run(inputs, in: context)
    }
    let round = try inputs.value("round", as: Int.self)
    guard round >= 0 else {
      throw AttackError.invalidParameter(
        attack: node.attack.name, name: "round", value: "\(round)", requirement: "at least 0")
    }
    if let attack = node.attack as? any OwnGradientAttack, let own {
      do {
        return try attack.craft(own: await own.gradient(inputs, in: context).gradient)
      } catch ModelError.cannotBeSent {
        // A model of the program's own, and workers in other processes.
      }
    }
    let view = try ByzantineNode.Round(
      number: round, parameters: inputs.value("parameters"), honest: inputs.value("honest"),
      rule: rule.forRound(round), attackers: attackers, learningRate: learningRate.rate(at: round))
    return try node.vector(in: view)
  }
}
