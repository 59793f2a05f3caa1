public import ByzRuntime
public import ByzTensor

/// Synchronous training with a server: each round it gathers a gradient from every node, aggregates them robustly and takes a step.
///
/// ```swift
/// var server = try ParameterServer(
///   honest: honest, byzantine: byzantine, aggregator: .median,
///   optimizer: SGD(learningRate: 0.05, momentum: 0.9), parameters: model.initialParameters(key: key))
/// for _ in 0..<200 { try await server.round(on: pool) }
/// print(try model.accuracy(at: server.parameters, on: test))
/// ```
///
/// Gradients are ordered by node, honest ones first, whichever arrives first. A value: a copy is a checkpoint.
public struct ParameterServer: Sendable {
  /// The nodes that follow the protocol.
  public let honest: [HonestNode]
  private let residents: Residents
  /// The nodes that lie.
  public let byzantine: [ByzantineNode]
  /// The rule, with its pre-aggregators.
  public let aggregator: any Aggregator
  /// How a step is taken.
  public let optimizer: SGD
  /// The model, the same for all nodes.
  public private(set) var parameters: Tensor<Float>
  /// What the optimizer remembers.
  public private(set) var optimizerState = SGD.State()
  /// The rounds that are over.
  public private(set) var roundsDone = 0

  /// A server before its first round.
  ///
  /// - Throws: ``AggregationError`` or ``AttackError`` when the rule does not work for this number of nodes or an attack's
  ///   parameter is out of range,
  ///   ``ModelError/wrongParameterCount(expected:actual:)`` when the parameters do not fit a node's model.
  public init(
    honest: [HonestNode], byzantine: [ByzantineNode] = [], aggregator: any Aggregator,
    optimizer: SGD, parameters: Tensor<Float>
  ) throws {
    try aggregator.validate(n: honest.count + byzantine.count)
    for node in honest where node.model.parameterCount != parameters.count {
      throw ModelError.wrongParameterCount(
        expected: node.model.parameterCount, actual: parameters.count)
    }
    for node in byzantine { try node.validate(honest: honest.count, attackers: byzantine.count) }
    self.honest = honest
    residents = Residents(honest)
    self.byzantine = byzantine
    self.aggregator = aggregator
    self.optimizer = optimizer
    self.parameters = parameters
  }

  /// Runs one round: gradients, attacks, aggregation, a step.
  ///
  /// A node that fails and a rule that refuses are outcomes in the report, not errors: the others go on. A step that would
  /// leave the parameters not finite is not taken.
  ///
  /// - Parameter pool: whose workers compute gradients and aggregate; the calling task if nil. The result is the same, bit for bit.
  /// - Throws: `CancellationError`, or `RuntimeError` when the pool fails; the server is unchanged then.
  @discardableResult
  public mutating func round(on pool: ActorPool? = nil) async throws -> RoundReport {
    let context = OperatorContext(nodeName: "round \(roundsDone)", pool: pool)
    let rule = aggregator.forRound(roundsDone)
    var (nodes, vectors) = try await honestGradients(in: context)
    let view = ByzantineNode.Round(
      number: roundsDone, parameters: parameters, honest: vectors, rule: rule,
      attackers: byzantine.count, learningRate: optimizer.learningRate.rate(at: roundsDone))
    for node in byzantine {
      do {
        let vector = try node.vector(in: view)
        // One liar's wrong shape must not make the rule refuse everyone's.
        guard vector.shape == parameters.shape else {
          throw ModelError.wrongParameterCount(expected: parameters.count, actual: vector.count)
        }
        vectors.append(vector)
        nodes.append(RoundReport.Node(name: node.name, isByzantine: true, loss: nil, failure: nil))
      } catch {
        nodes.append(
          RoundReport.Node(name: node.name, isByzantine: true, loss: nil, failure: "\(error)"))
      }
    }
    let step: RoundReport.Step
    do {
      step = try take(await rule.aggregate(vectors, in: context))
    } catch let error as AggregationError {
      step = .refused(error)
    }
    defer { roundsDone += 1 }
    return RoundReport(round: roundsDone, nodes: nodes, step: step)
  }

  private mutating func take(_ gradient: Tensor<Float>) throws -> RoundReport.Step {
    let before = (parameters, optimizerState)
    try optimizer.update(&parameters, with: gradient, state: &optimizerState)
    let isFinite = parameters.withUnsafeBufferPointer { $0.allSatisfy(\.isFinite) }
    if isFinite { return .taken }
    (parameters, optimizerState) = before
    return .notFinite
  }

  /// The gradients that arrived, in the order of the nodes.
  private func honestGradients(
    in context: OperatorContext
  ) async throws -> ([RoundReport.Node], [Tensor<Float>]) {
    var gradients = honest.map { _ in Tensor<Float>(uninitialized: parameters.shape) }
    let results = try await context.run(
      honest.indices.map { GradientSubtask(node: $0, round: roundsDone) },
      operands: Operands(
        inputs: [.float32(parameters)], residents: residents, outputs: OutputRows(&gradients)))
    let nodes = zip(honest, results).map {
      RoundReport.Node(name: $0.name, isByzantine: false, loss: $1.loss, failure: $1.failure)
    }
    return (nodes, zip(gradients, results).filter { $1.failure == nil }.map(\.0))
  }
}

/// Computes one node's gradient.
struct GradientSubtask: FootprintSubtask {
  let node: Int
  let round: Int

  /// What a node answered beside its gradient.
  struct Output: Codable, Sendable {
    let loss: Float?
    let failure: String?
  }

  var outputRows: Range<Int>? { node..<node + 1 }
  var residents: [Int] { [node] }

  func run(_ operands: Operands) -> Output {
    guard let node = operands.residents[self.node] as? HonestNode,
      let parameters = operands.inputs.first?.typed(as: Float.self), let outputs = operands.outputs
    else { return Output(loss: nil, failure: "The node is not here.") }
    do {
      let (loss, gradient) = try node.gradient(at: parameters, round: round)
      guard gradient.count == parameters.count else {
        throw ModelError.wrongParameterCount(expected: parameters.count, actual: gradient.count)
      }
      outputs.copy(gradient, toRow: self.node)
      return Output(loss: loss, failure: nil)
    } catch {
      return Output(loss: nil, failure: "\(error)")
    }
  }
}
