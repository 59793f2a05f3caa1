public import ByzRuntime
public import ByzTensor

/// Learning without a server: in each round every node takes a local step, sends its model to its
/// neighbors, and moves to the robust aggregate of its own model and theirs.
///
/// ```swift
/// var peers = try PeerToPeer(
///   honest: honest, byzantine: byzantine, topology: .complete(10), aggregator: .trimmedMean(f: 2),
///   optimizer: SGD(learningRate: 0.05, momentum: 0.9), parameters: model.initialParameters(key: key))
/// for _ in 0..<200 { try await peers.round(on: pool) }
/// print(peers.diameter, try model.accuracy(at: peers.models[0], on: test))
/// ```
///
/// ```
/// θᵢ' = θᵢ - η vᵢ        θᵢ ← rule(θᵢ', θⱼ' for each neighbor j that i hears)
/// ```
///
/// A Byzantine node waits for what its honest neighbors send in the round, and may tell each
/// neighbor another lie. Vectors are ordered by node, a node's own first, whichever arrives first.
/// All nodes are in this process; ``DecentralizedNode`` is one node on its own, with the same bits.
/// A value: a copy is a checkpoint.
public struct PeerToPeer: Sendable {
  /// How long a node waits for its neighbors.
  public typealias Mode = GossipMode

  /// Who sends to whom.
  public let topology: Topology
  var learners: [Learner]
  var states: [GossipState]

  /// Nodes before their first round: 0 ..< h are the honest ones, and the Byzantine ones follow.
  ///
  /// - Throws: as ``init(_:topology:models:mode:)``.
  public init(
    honest: [HonestNode], byzantine: [ByzantineNode] = [], topology: Topology,
    aggregator: any Aggregator, optimizer: SGD, parameters: Tensor<Float>,
    mode: Mode = .synchronous
  ) throws {
    let participants =
      honest.map { Participant.honest($0, aggregator: aggregator, optimizer: optimizer) }
      + byzantine.map { Participant.byzantine($0, aggregator: aggregator, optimizer: optimizer) }
    try self.init(
      participants, topology: topology,
      models: participants.map { _ in parameters }, mode: mode)
  }

  /// Nodes before their first round, each with a rule, an optimizer and a model of its own.
  ///
  /// - Parameters:
  ///   - participants: the nodes, as the topology numbers them.
  ///   - topology: who sends to whom. It need not be connected; its parts learn each for themselves
  ///     then.
  ///   - models: what each node starts from, of one shape (d).
  ///   - mode: how long a node waits for its neighbors.
  /// - Throws: ``PeerToPeerError``, ``AttackError``, ``AggregationError`` or ``ModelError`` when a
  ///   node could not do a round.
  public init(
    _ participants: [Participant], topology: Topology, models: [Tensor<Float>],
    mode: Mode = .synchronous
  ) throws {
    let plan = ClusterPlan(participants, topology: topology, models: models, mode: mode)
    try plan.validate()
    let byzantine = plan.byzantine
    self.topology = topology
    learners = try participants.enumerated().map { node, participant in
      try Learner(
        node, participant, in: topology, accomplices: byzantine, parameters: models[node])
    }
    learners.shareResidents()
    states = try learners.map {
      try GossipState($0, in: topology, accomplices: byzantine, mode: mode)
    }
  }

  /// The nodes, as the topology numbers them.
  public var participants: [Participant] { learners.map(\.participant) }

  /// Each node's model. Of a Byzantine node: whatever it keeps.
  public var models: [Tensor<Float>] { learners.map(\.parameters) }

  /// How many rounds each node has done.
  public var roundsDone: [Int] { states.map(\.round) }

  /// The largest Euclidean distance between two honest models: 0 when all agree.
  ///
  /// - Complexity: O(h²d) for h honest nodes.
  public var diameter: Double {
    let models = learners.filter { !$0.participant.isByzantine }.map(\.parameters)
    var largest = 0.0
    for (i, a) in models.enumerated() {
      for b in models[..<i] { largest = max(largest, a.distance(to: b)) }
    }
    return largest
  }

  /// Runs one round for all nodes in step; every vector arrives in its round, whatever the mode.
  ///
  /// A node that fails, a rule that refuses and a vector that cannot be used are outcomes in the
  /// reports, not errors: the others go on.
  ///
  /// - Parameter pool: whose workers compute gradients and aggregate; the calling task if nil. The
  ///   result is the same, bit for bit.
  /// - Returns: one report for each node, in the order of the nodes.
  /// - Throws: `CancellationError`, or `RuntimeError` when the pool fails; nothing is changed then.
  @discardableResult
  public mutating func round(on pool: ActorPool? = nil) async throws -> [GossipReport] {
    let stepped = try await each(learners, on: pool) { [states] learner, context in
      var learner = learner
      let step = try await learner.takeLocalStep(
        round: states[learner.number].round, in: context)
      return (learner: learner, step: step)
    }
    var (next, inboxes) = (stepped.map(\.learner), states)
    var dropped = [[DroppedVector]](repeating: [], count: next.count)
    func deliver(_ message: GossipMessage, from: Int, to: Int) {
      for case .drop(let vector) in inboxes[to].handle(.received(message, from: from)) {
        dropped[to].append(vector)
      }
    }
    for learner in next where !learner.participant.isByzantine {
      let message = learner.message(round: inboxes[learner.number].round)
      for neighbor in learner.outNeighbors { deliver(message, from: learner.number, to: neighbor) }
    }
    var reports = [GossipReport?](repeating: nil, count: next.count)
    for i in next.indices {
      guard case .byzantine(let node) = next[i].participant.role else { continue }
      let (record, vectors) = inboxes[i].endAtOnce()
      var step = stepped[i].step
      let (messages, failure) = try next[i].lies(node, round: record.round, hearing: vectors)
      step.failure = failure ?? step.failure
      for (neighbor, message) in messages { deliver(message, from: i, to: neighbor) }
      reports[i] = next[i].report(step, record, .lied, dropped: dropped[i])
    }
    let heard = next.indices.map {
      reports[$0] == nil ? inboxes[$0].endAtOnce() : nil
    }
    let moved = try await each(next, on: pool) { [heard, dropped] learner, context in
      var learner = learner
      guard let (record, vectors) = heard[learner.number] else {
        return (learner: learner, report: nil as GossipReport?)
      }
      let outcome = try await learner.move(record, hearing: vectors, in: context)
      let report = learner.report(
        stepped[learner.number].step, record, outcome, dropped: dropped[learner.number])
      return (learner: learner, report: report)
    }
    learners = moved.map(\.learner)
    states = inboxes
    return zip(reports, moved).compactMap { $0 ?? $1.report }
  }

  /// Calls `body` for each node, at the same time if there is a pool; the results in the order of
  /// the nodes.
  private func each<Output: Sendable>(
    _ learners: [Learner], on pool: ActorPool?,
    body: @escaping @Sendable (Learner, OperatorContext) async throws -> Output
  ) async throws -> [Output] {
    let jobs = learners.map { ($0, OperatorContext(nodeName: $0.participant.name, pool: pool)) }
    guard pool != nil else {
      var outputs: [Output] = []
      for (learner, context) in jobs { outputs.append(try await body(learner, context)) }
      return outputs
    }
    return try await withThrowingTaskGroup(of: (Int, Output).self) { group in
      for (index, (learner, context)) in jobs.enumerated() {
        group.addTask { (index, try await body(learner, context)) }
      }
      var outputs = [Output?](repeating: nil, count: jobs.count)
      for try await (index, output) in group { outputs[index] = output }
      return outputs.compactMap { $0 }
    }
  }
}

extension GossipState {
  /// The state of a node before its first round. A Byzantine node hears the honest nodes only: it
  /// knows its accomplices.
  init(
    _ learner: Learner, in topology: Topology, accomplices: Set<Int>, mode: GossipMode
  ) throws(PeerToPeerError) {
    let heard = topology.inNeighbors(of: learner.number)
    let shape = learner.parameters.shape
    guard learner.participant.isByzantine else {
      try mode.validate(node: learner.number, neighbors: heard.count)
      self.init(node: learner.number, neighbors: heard, shape: shape, mode: mode)
      return
    }
    let honest = heard.filter { !accomplices.contains($0) }
    let mode = mode.within(neighbors: honest.count)
    try mode.validate(node: learner.number, neighbors: honest.count)
    self.init(
      node: learner.number, neighbors: honest, shape: shape, mode: mode, isByzantine: true)
  }

  /// Begins and ends a round whose vectors have all arrived.
  mutating func endAtOnce() -> (record: GossipRecord, vectors: [Tensor<Float>]) {
    for case .proceed(let record, let vectors) in handle(.began) + handle(.deadline) {
      return (record, vectors)
    }
    preconditionFailure("A deadline ends every round.")
  }
}

extension Tensor<Float> {
  /// ‖self - other‖₂.
  func distance(to other: Tensor) -> Double {
    withUnsafeBufferPointer { x in
      other.withUnsafeBufferPointer { y in
        zip(x, y).reduce(0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
          .squareRoot()
      }
    }
  }
}
