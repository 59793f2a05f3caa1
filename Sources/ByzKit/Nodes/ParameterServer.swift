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
/// Gradients are ordered by node, honest ones first, whichever arrives first. A ``RoundPolicy`` says whether a round waits for
/// all of them. A value: a copy is a checkpoint, and ``Checkpoint`` one that survives the process.
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
  /// How many nodes a round needs, and how long it waits.
  public let policy: RoundPolicy
  /// The model, the same for all nodes.
  public internal(set) var parameters: Tensor<Float>
  /// What the optimizer remembers.
  public internal(set) var optimizerState = SGD.State()
  /// The rounds that are over.
  public internal(set) var roundsDone = 0

  /// A server before its first round.
  ///
  /// - Throws: ``AggregationError`` or ``AttackError`` when the rule does not work for this number of nodes or an attack's
  ///   parameter is out of range,
  ///   ``ModelError/wrongParameterCount(expected:actual:)`` when the parameters do not fit a node's model,
  ///   ``ModelError/invalidHyperparameter(name:value:bound:)`` when the quorum is above the number of nodes, or a rate of the
  ///   optimizer out of its range.
  public init(
    honest: [HonestNode], byzantine: [ByzantineNode] = [], aggregator: any Aggregator,
    optimizer: SGD, parameters: Tensor<Float>, policy: RoundPolicy = RoundPolicy()
  ) throws {
    try policy.validate(n: honest.count + byzantine.count)
    try aggregator.validate(n: honest.count + byzantine.count)
    try optimizer.validate()
    for node in honest + byzantine.compactMap(\.own)
    where node.model.parameterCount != parameters.count {
      throw ModelError.wrongParameterCount(
        expected: node.model.parameterCount, actual: parameters.count)
    }
    for node in byzantine { try node.validate(honest: honest.count, attackers: byzantine.count) }
    self.honest = honest
    residents = Residents(honest)
    self.byzantine = byzantine
    self.aggregator = aggregator
    self.optimizer = optimizer
    self.policy = policy
    self.parameters = parameters
  }

  /// Runs one round: gradients, attacks, aggregation, a step.
  ///
  /// A node that fails or is late, too few nodes and a rule that refuses are outcomes in the report, not errors: the others go
  /// on. A step that would leave the parameters not finite is not taken.
  ///
  /// - Parameters:
  ///   - pool: whose workers compute gradients and aggregate; the calling task if nil. The result is the same, bit for bit, when
  ///     the same nodes take part.
  ///   - chunkSize: the columns that one subtask of the rule takes; changes scheduling only. By default four subtasks for each
  ///     worker.
  /// - Throws: `CancellationError`, or `RuntimeError` when the pool fails; the server is unchanged then.
  @discardableResult
  public mutating func round(
    on pool: ActorPool? = nil, chunkSize: Int? = nil
  ) async throws -> RoundReport {
    try await round(of: Array(0..<honest.count + byzantine.count), policy, on: pool, chunkSize)
  }

  /// Runs the next round with exactly the nodes that took part in a recorded one, and waits for all of them: parameters and
  /// optimizer have the same bits after it as after the recorded round, whatever the pool.
  ///
  /// - Throws: ``ReplayError`` when the record does not fit or a participant fails now, else as ``round(on:chunkSize:)``; the server is
  ///   unchanged then.
  @discardableResult
  public mutating func replay(
    _ record: RoundRecord, on pool: ActorPool? = nil
  ) async throws -> RoundReport {
    try record.validate(round: roundsDone, nodes: honest.count + byzantine.count)
    var next = self
    let everyone = RoundPolicy(quorum: policy.quorum)
    let report = try await next.round(of: record.participants, everyone, on: pool)
    for node in record.participants where !report.participants.contains(node) {
      let failed = report.nodes[node]
      throw ReplayError.participantFailed(name: failed.name, reason: failed.failure ?? "late")
    }
    self = next
    return report
  }

  /// Runs a round of some of the nodes.
  private mutating func round(
    of members: [Int], _ policy: RoundPolicy, on pool: ActorPool?, _ chunkSize: Int? = nil
  ) async throws -> RoundReport {
    let context = OperatorContext(
      nodeName: "round \(roundsDone)", pool: pool, chunkSize: chunkSize)
    let rule = aggregator.forRound(roundsDone)
    // Where there is time for all, also for those without whom there is no quorum, so that the report says who failed.
    let wanted =
      policy.deadline == nil ? 0 : max(min(1, honest.count), policy.quorum - byzantine.count)
    let asked = members.filter { $0 < honest.count }
    var answers = try await gradients(
      of: asked,
      until: Quorum(min(wanted, asked.count), deadline: policy.deadline, limit: policy.limit),
      in: context)
    let view = ByzantineNode.Round(
      number: roundsDone, parameters: parameters, honest: answers.compactMap(\.vector), rule: rule,
      attackers: byzantine.count, learningRate: optimizer.learningRate.rate(at: optimizerState.step)
    )
    for (index, node) in byzantine.enumerated() {
      let isAsked = members.contains(honest.count + index)
      answers.append(isAsked ? try Answer(of: node, in: view) : .notAsked)
    }
    let vectors = answers.compactMap(\.vector)
    let isOfLiarsAlone =
      !honest.isEmpty && answers.prefix(honest.count).allSatisfy { $0.vector == nil }
    let step: RoundReport.Step
    if isOfLiarsAlone || vectors.count < policy.quorum {
      step = .tooFew(arrived: isOfLiarsAlone ? 0 : vectors.count, quorum: max(1, policy.quorum))
    } else {
      do {
        // Where late nodes hold every worker, the rule would wait for them.
        let isHeld = vectors.count < members.count && context.pool?.hasIdleWorker == false
        let free = isHeld ? OperatorContext(nodeName: context.nodeName) : context
        step = try take(await rule.aggregate(vectors, in: free))
      } catch let error as AggregationError {
        step = .refused(error)
      }
    }
    defer { roundsDone += 1 }
    return report(answers, step)
  }

  private func report(_ answers: [Answer], _ step: RoundReport.Step) -> RoundReport {
    let names = honest.map(\.name) + byzantine.map(\.name)
    let nodes = answers.indices.map { index in
      RoundReport.Node(
        name: names[index], isByzantine: index >= honest.count, loss: answers[index].loss,
        failure: answers[index].failure)
    }
    return RoundReport(
      round: roundsDone, nodes: nodes,
      participants: answers.indices.filter { answers[$0].vector != nil }, step: step)
  }

  private mutating func take(_ gradient: Tensor<Float>) throws -> RoundReport.Step {
    let before = (parameters, optimizerState)
    try optimizer.update(&parameters, with: gradient, state: &optimizerState)
    let isFinite = parameters.withUnsafeBufferPointer { $0.allSatisfy(\.isFinite) }
    if isFinite { return .taken }
    (parameters, optimizerState) = before
    return .notFinite
  }

  /// What each honest node answered, in their order; only `members` are asked.
  private func gradients(
    of members: [Int], until quorum: Quorum, in context: OperatorContext
  ) async throws -> [Answer] {
    // A node that is late may still write its row after this has returned: the row outlives that, and nobody reads it.
    var rows = honest.map { _ in Tensor<Float>(uninitialized: parameters.shape) }
    let gathering = try await context.collect(
      members.map { GradientSubtask(node: $0, row: $0, round: roundsDone) },
      operands: Operands(
        inputs: [.float32(parameters)], residents: residents, outputs: OutputRows(&rows)),
      // Each node's data stays near one worker.
      preferring: context.pool?.workerNames ?? [], until: quorum)
    try Self.checkWorkers(gathering.outcomes)
    var answers = [Answer](repeating: .notAsked, count: honest.count)
    for (node, outcome) in zip(members, gathering.outcomes) {
      switch outcome {
      case .returned(let loss): answers[node] = Answer(vector: rows[node], loss: loss)
      case .late: answers[node] = Answer(failure: "late: the round went on without it")
      case .failed(let error as RuntimeError)
      where error.code == .stopped || error.code == .noCapableWorker:
        throw error
      case .failed(let error): answers[node] = Answer(failure: "\(error)")
      }
    }
    return answers
  }

  /// Where no gradient came and workers were lost with some, it was not the nodes that failed.
  private static func checkWorkers(_ outcomes: [Gathering<Float>.Outcome]) throws {
    var lost: RuntimeError?
    for outcome in outcomes {
      switch outcome {
      case .returned: return
      case .failed(let error as RuntimeError) where error.code == .workerLost: lost = error
      default: break
      }
    }
    if let lost { throw lost }
  }
}

/// What a node sent in a round, or why it sent nothing.
private struct Answer {
  var vector: Tensor<Float>?
  var loss: Float?
  var failure: String?

  static var notAsked: Answer { Answer(failure: "not asked") }

  init(vector: Tensor<Float>? = nil, loss: Float? = nil, failure: String? = nil) {
    self.vector = vector
    self.loss = loss
    self.failure = failure
  }

  /// - Throws: `CancellationError`: then the round is, too.
  init(of node: ByzantineNode, in view: ByzantineNode.Round) throws {
    do {
      let vector = try node.vector(in: view)
      // One liar's wrong shape must not make the rule refuse everyone's.
      guard vector.shape == view.parameters.shape else {
        throw ModelError.wrongParameterCount(
          expected: view.parameters.count, actual: vector.count)
      }
      self.init(vector: vector)
    } catch let error as CancellationError {
      throw error
    } catch {
      self.init(failure: "\(error)")
    }
  }
}
