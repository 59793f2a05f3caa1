public import ByzRuntime
public import ByzTensor

/// An honest node as graphs: `honestGradient` computes its gradient, `aggregate` robustly combines
/// what it received.
public struct HonestNodeApplication: Sendable {
  /// The graphs, to which more can be added.
  public var application: NodeApplication

  /// An application for a node.
  ///
  /// - Parameters:
  ///   - node: what computes gradients.
  ///   - aggregator: the rule for `aggregate`, with its pre-aggregators.
  ///   - scheduler: how and where the graphs run.
  public init(
    _ node: HonestNode, aggregator: any Aggregator, scheduler: GraphScheduler = GraphScheduler()
  ) throws {
    application = NodeApplication(name: node.name, scheduler: scheduler)
    let gradients = GraphInput("gradients", as: [Tensor<Float>].self)
    try application.register(
      "aggregate",
      ComputationGraph(
        nodes: [
          GraphNode(
            "aggregate", RoundAggregation(aggregator: aggregator),
            inputs: [
              "vectors": .input(gradients), "round": .input(GraphInput("round", as: Int.self)),
            ])
        ], outputs: ["aggregate"]))
    try application.register(
      "honestGradient",
      ComputationGraph(
        nodes: [
          GraphNode(
            "honestGradient", HonestGradientStep(residents: Residents([node])),
            inputs: [
              "parameters": .input(GraphInput("parameters", as: Tensor<Float>.self)),
              "round": .input(GraphInput("round", as: Int.self)),
            ])
        ], outputs: ["honestGradient"]))
  }

  /// Combines the vectors of a round, by the rule as it is in that round.
  ///
  /// - Throws: ``AggregationError``, `RuntimeError` of the pool, or `CancellationError`.
  public func aggregate(
    _ gradients: [Tensor<Float>], round: Int = 0
  ) async throws -> Tensor<Float> {
    try await application.run("aggregate", ["gradients": gradients, "round": round])
      .value(of: "aggregate")
  }

  /// The mean loss and its gradient over the batch of a round.
  ///
  /// - Throws: what the model throws, ``ModelError/invalidHyperparameter(name:value:bound:)`` for a negative round, `RuntimeError` of the
  ///   pool, or `CancellationError`.
  public func honestGradient(
    at parameters: Tensor<Float>, round: Int
  ) async throws -> HonestGradient {
    try await application.run("honestGradient", ["parameters": parameters, "round": round])
      .value(of: "honestGradient")
  }
}

/// What an honest node computes in a round.
public struct HonestGradient: Sendable {
  /// The mean loss over its batch.
  public let loss: Float
  /// The loss's gradient, of shape (d).
  public let gradient: Tensor<Float>
}

/// Combines vectors by a rule that may draw anew in each round.
private struct RoundAggregation: Operator {
  let aggregator: any Aggregator

  var name: String { aggregator.name }
  var inputNames: [String] { aggregator.inputNames + ["round"] }

  func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws -> any Sendable {
    try await aggregator.forRound(inputs.value("round")).run(inputs, in: context)
  }
}

/// Computes a node's gradient on a worker.
struct HonestGradientStep: Operator {
  /// The node. One list for all runs, so that a worker elsewhere is sent it once.
  let residents: Residents

  var name: String { "honestGradient" }
  var inputNames: [String] { ["parameters", "round"] }

  func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws -> any Sendable {
    try await gradient(inputs, in: context)
  }

  func gradient(
    _ inputs: OperatorInputs, in context: OperatorContext
  ) async throws -> HonestGradient {
    let parameters = try inputs.value("parameters", as: Tensor<Float>.self)
    let round: Int = try inputs.value("round")
    guard round >= 0 else {
      throw ModelError.invalidHyperparameter(
        name: "round", value: Double(round), bound: "at least 0")
    }
    var row = [Tensor<Float>(uninitialized: parameters.shape)]
    let losses = try await context.run(
      [GradientSubtask(node: 0, row: 0, round: round)],
      operands: Operands(
        inputs: [.float32(parameters)], residents: residents, outputs: OutputRows(&row)))
    return HonestGradient(loss: losses[0], gradient: row[0])
  }
}
