import ByzRuntime
import ByzTensor

/// One node's model and how it changes in a round: a local step, then lies or the move to an
/// aggregate. A value: whoever carries the vectors between two of these, the bits are the same.
struct Learner: Sendable {
  let number: Int
  let participant: Participant
  /// Who hears the node.
  let outNeighbors: [Int]
  /// Whom it hears.
  let inNeighbors: [Int]
  /// Of a Byzantine node: how many Byzantine nodes each of those hears.
  private let attackers: [Int: Int]
  /// The node with the data it steps on, if it takes local steps, and its place in that list.
  fileprivate var residents: Residents?
  fileprivate var place = 0
  private(set) var parameters: Tensor<Float>
  private var optimizerState = SGD.State()
  /// The model before the local step.
  private var before: Tensor<Float>

  /// - Parameter accomplices: the Byzantine nodes, as far as a Byzantine node knows them.
  /// - Throws: ``PeerToPeerError/illegalRule(node:_:)``, ``AttackError`` and others when the node
  ///   could not do a single round.
  init(
    _ number: Int, _ participant: Participant, in topology: Topology, accomplices: Set<Int>,
    parameters: Tensor<Float>
  ) throws {
    self.number = number
    self.participant = participant
    outNeighbors = topology.outNeighbors(of: number)
    inNeighbors = topology.inNeighbors(of: number)
    let accomplices = accomplices.union([number])
    attackers = Dictionary(
      uniqueKeysWithValues: outNeighbors.map {
        ($0, topology.inNeighbors(of: $0).count(where: accomplices.contains))
      })
    residents = Self.data(participant, outNeighbors).map { Residents([$0]) }
    self.parameters = parameters
    before = parameters
    try participant.optimizer.validate()
    switch participant.role {
    case .honest(let node):
      try Self.check(parameters, node.model)
      do throws(AggregationError) {
        try participant.aggregator.validate(n: 1 + topology.inNeighbors(of: number).count)
      } catch {
        throw PeerToPeerError.illegalRule(node: number, error)
      }
    case .byzantine(let node):
      if let own = node.own { try Self.check(parameters, own.model) }
      let honest = topology.inNeighbors(of: number).count { !accomplices.contains($0) }
      try node.validate(against: outNeighbors, honest: honest) { [attackers] in attackers[$0] ?? 1 }
    }
  }

  private static func check(_ parameters: Tensor<Float>, _ model: any Model) throws(ModelError) {
    guard parameters.shape == [model.parameterCount] else {
      throw .wrongParameterCount(expected: model.parameterCount, actual: parameters.count)
    }
  }

  /// The data it steps on; none of a Byzantine node whose attack does not look at it.
  private static func data(_ participant: Participant, _ outNeighbors: [Int]) -> HonestNode? {
    switch participant.role {
    case .honest(let node): node
    case .byzantine(let node): node.keepsModel(against: outNeighbors) ? node.own : nil
    }
  }
}

extension [Learner] {
  /// Gives all one list of the data they step on: workers elsewhere keep only so many lists.
  mutating func shareResidents() {
    let stepping = indices.filter { self[$0].residents != nil }
    let shared = Residents(stepping.compactMap { self[$0].residents?[0] })
    for (place, index) in stepping.enumerated() {
      (self[index].residents, self[index].place) = (shared, place)
    }
  }
}

// MARK: - A round

extension Learner {
  /// What a node did before it sent anything.
  struct LocalStep: Sendable {
    var loss: Float?
    /// Why it took no step, or could not make its lies.
    var failure: String?
    /// Whether it was to take a step, and took none.
    var hasFailed = false
  }

  /// Takes the local step of a round. A step that fails, or would leave the model not finite, is
  /// not taken.
  ///
  /// - Throws: `CancellationError`, or `RuntimeError` when the pool fails.
  mutating func takeLocalStep(
    round: Int, in context: OperatorContext
  ) async throws -> LocalStep {
    before = parameters
    guard let residents else { return LocalStep() }
    var gradient = [Tensor<Float>(uninitialized: parameters.shape)]
    let loss: Float
    do {
      loss = try await context.run(
        [GradientSubtask(node: place, row: 0, round: round)],
        operands: Operands(
          inputs: [.float32(parameters)], residents: residents, outputs: OutputRows(&gradient)))[0]
    } catch  where !(error is CancellationError || error is RuntimeError) {
      return LocalStep(failure: "\(error)", hasFailed: true)
    }
    var (stepped, state) = (parameters, optimizerState)
    do throws(ModelError) {
      try participant.optimizer.update(&stepped, with: gradient[0], state: &state)
    } catch {
      return LocalStep(loss: loss, failure: "\(error)", hasFailed: true)
    }
    guard stepped.isFinite else {
      return LocalStep(
        loss: loss, failure: "The step would have made the model not finite.", hasFailed: true)
    }
    (parameters, optimizerState) = (stepped, state)
    return LocalStep(loss: loss)
  }

  /// Goes into a round whose local step failed when it was recorded.
  mutating func failLocalStep() -> LocalStep {
    before = parameters
    return LocalStep(failure: "It took no step when the round was recorded.", hasFailed: true)
  }

  /// The message of an honest node, to all its neighbors.
  func message(round: Int) -> GossipMessage { GossipMessage(round: round, vector: parameters) }

  /// The messages of a Byzantine node, each to one neighbor, once it has heard its honest
  /// neighbors.
  ///
  /// Where a lie cannot be made the neighbor gets an empty vector, so that it need not wait.
  ///
  /// - Throws: `CancellationError`.
  mutating func lies(
    _ node: ByzantineNode, round: Int, hearing honest: [Tensor<Float>]
  ) throws -> (messages: [(to: Int, message: GossipMessage)], failure: String?) {
    let view = GossipView(
      round: round, honest: honest, shape: parameters.shape,
      rule: participant.aggregator.forRound(round), before: before, after: parameters,
      rate: participant.optimizer.learningRate.rate(at: max(0, optimizerState.step - 1)))
    var failure: String?
    let messages = try outNeighbors.map { neighbor in
      var vector: Tensor<Float> = []
      do {
        vector = try node.lie(to: neighbor, of: attackers[neighbor] ?? 1, seeing: view)
      } catch let error as CancellationError {
        throw error
      } catch {
        failure = "\(error)"
      }
      return (to: neighbor, message: GossipMessage(round: round, vector: vector))
    }
    // It knows who is honest, so it can follow them by their mean.
    if residents != nil, let mean = try? Mean().aggregate([parameters] + honest), mean.isFinite {
      parameters = mean
    }
    return (messages, failure)
  }

  /// Moves an honest node to the aggregate of its own vector and those it heard, in this order.
  ///
  /// - Throws: `CancellationError`, or `RuntimeError` when the pool fails.
  mutating func move(
    _ record: GossipRecord, hearing vectors: [Tensor<Float>], in context: OperatorContext
  ) async throws -> GossipReport.Outcome {
    guard record.hasQuorum else { return .tooFewNeighbors }
    do {
      let rule = participant.aggregator.forRound(record.round)
      let aggregate = try await rule.aggregate([parameters] + vectors, in: context)
      guard aggregate.isFinite else { return .notFinite }
      parameters = aggregate
      return .moved
    } catch let error as AggregationError {
      return .refused(error)
    }
  }

  /// What is said about the round.
  func report(
    _ step: LocalStep, _ record: GossipRecord, _ outcome: GossipReport.Outcome,
    dropped: [DroppedVector], undelivered: [Int] = []
  ) -> GossipReport {
    var record = record
    record.stepFailed = step.hasFailed
    return GossipReport(
      name: participant.name, isByzantine: participant.isByzantine, loss: step.loss,
      failure: step.failure, record: record, dropped: dropped, undelivered: undelivered,
      outcome: outcome)
  }
}
