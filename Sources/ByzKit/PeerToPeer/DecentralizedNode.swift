public import ByzRuntime
public import ByzTensor

/// One node that learns with its neighbors and without a coordinator: it knows its own part in the
/// protocol, its place in the topology, and a transport.
///
/// ```swift
/// let node = try DecentralizedNode(
///   3, .honest(honest, aggregator: .median, optimizer: SGD(learningRate: 0.05)), in: topology,
///   parameters: model.initialParameters(key: key))
/// let reports = try await node.run(rounds: 100, over: transport)
/// ```
///
/// Whatever neighbors do, a round ends: when enough has arrived, or at the deadline, and says in
/// its report what it used. When every message arrives in time, the models are bit for bit those of
/// ``PeerToPeer/round(on:)``; and always those of ``PeerToPeer/replay(_:on:)`` with the records of all
/// nodes. A run that throws returns no records, so a run that lost a node cannot be replayed.
public actor DecentralizedNode {
  /// Its number in the topology.
  public nonisolated let number: Int
  /// The longest a round waits for neighbors. In step a Byzantine node may take as long again to send; at their own pace nodes
  /// send while they go on, and the end of a run waits as long for the last vectors to arrive, and twice as long at most.
  public nonisolated let deadline: Duration

  private let clock: any Clock<Duration>
  private var learner: Learner
  private var state: GossipState
  private var isRunning = false

  /// A node before its first round.
  ///
  /// - Parameters:
  ///   - number: its place in the topology.
  ///   - participant: what it is and by which rule it moves.
  ///   - topology: who sends to whom.
  ///   - parameters: the model to start from, of shape (d).
  ///   - mode: how long it waits for its neighbors.
  ///   - accomplices: of a Byzantine node, the other Byzantine nodes: it does not wait for them.
  ///   - deadline: the longest a round waits; a minute unless given.
  ///   - clock: what measures that.
  /// - Throws: ``PeerToPeerError``, ``AttackError``, ``AggregationError`` or ``ModelError`` when it
  ///   could not do a round; `RuntimeError` for a deadline below 0 or of more than 100 days.
  public init(
    _ number: Int, _ participant: Participant, in topology: Topology, parameters: Tensor<Float>,
    mode: GossipMode = .synchronous, accomplices: Set<Int> = [], deadline: Duration = .seconds(60),
    clock: any Clock<Duration> = ContinuousClock()
  ) throws {
    guard (0..<topology.nodeCount).contains(number) else {
      throw TopologyError.invalidParameter(
        name: "number", value: "\(number)", requirement: "in 0..<\(topology.nodeCount)")
    }
    // A clock cannot add any length to its time.
    guard (.zero ... .seconds(100 * 86_400)).contains(deadline) else {
      throw RuntimeError(
        .invalidConfiguration, "The deadline of a round is from 0 to 100 days, not \(deadline).")
    }
    self.number = number
    self.deadline = deadline
    self.clock = clock
    learner = try Learner(
      number, participant, in: topology, accomplices: accomplices, parameters: parameters)
    state = try GossipState(learner, in: topology, accomplices: accomplices, mode: mode)
  }

  /// The model, as it was after the last round that ended.
  public var parameters: Tensor<Float> { learner.parameters }

  /// How many rounds are over, those included that it was not there for.
  public var roundsDone: Int { state.round }

  /// How many vectors of its neighbors it keeps between two rounds.
  package var vectorCount: Int { state.vectorCount }

  /// Runs rounds, and closes the transport at the end, however it ends; not if another run is under way.
  ///
  /// - Parameters:
  ///   - rounds: how many.
  ///   - start: the round to begin with, if it is not the one after the last: where the others are
  ///     when the node was away. It does none of the rounds between, and keeps its model until then.
  ///   - transport: the way to its neighbors.
  ///   - pool: what it computes on; the calling task if nil.
  /// - Returns: one report for each round.
  /// - Throws: `CancellationError`; what the transport throws when a round can receive nothing any
  ///   more; `RuntimeError` when the pool fails, or `start` is a round that is over;
  ///   ``PeerToPeerError/alreadyRunning(node:)``. The model is that after the last round that ended.
  public func run(
    rounds: Int, from start: Int? = nil, over transport: some GossipTransport,
    on pool: ActorPool? = nil
  ) async throws -> [GossipReport] {
    guard !isRunning else { throw PeerToPeerError.alreadyRunning(node: number) }
    isRunning = true
    defer {
      isRunning = false
      transport.close()
    }
    guard rounds >= 0 else {
      throw RuntimeError(.invalidConfiguration, "There are no \(rounds) rounds to run.")
    }
    let start = start ?? state.round
    guard start >= state.round, start <= Int.max - rounds else {
      throw RuntimeError(
        .invalidConfiguration,
        "Node \(number) has done \(state.round) rounds and cannot do \(rounds) from \(start) on.")
    }
    // What was heard for the rounds between is of no more use.
    if start > state.round { state.skip(to: start) }
    state.rejoinAll()
    guard !state.isInStep else {
      var talk = GossipExchange(
        state, hearing: learner.inNeighbors, over: transport, clock: clock, deadline: deadline)
      return try await run(rounds: rounds, &talk, on: pool)
    }
    var talk = GossipAtOwnPace(
      state, hearing: learner.inNeighbors, telling: learner.outNeighbors, over: transport,
      clock: clock, deadline: deadline)
    let reports = try await talk.during { try await run(rounds: rounds, &talk, on: pool) }
    state = talk.state
    return reports
  }

  /// Runs rounds on threads of its own; on the calling task if there are none.
  func run(
    rounds: Int, from start: Int, over transport: some GossipTransport, threads: Int
  ) async throws -> [GossipReport] {
    guard threads > 0 else { return try await run(rounds: rounds, from: start, over: transport) }
    return try await withActorPool(.threads(threads)) { pool in
      try await run(rounds: rounds, from: start, over: transport, on: pool)
    }
  }

  private func run(
    rounds: Int, _ talk: inout some GossipTalk, on pool: ActorPool?
  ) async throws -> [GossipReport] {
    var reports: [GossipReport] = []
    for _ in 0..<rounds { reports.append(try await round(&talk, on: pool)) }
    return reports
  }

  private func round(
    _ talk: inout some GossipTalk, on pool: ActorPool?
  ) async throws -> GossipReport {
    let context = OperatorContext(nodeName: learner.participant.name, pool: pool)
    var learner = learner
    let round = state.round
    var step = try await learner.takeLocalStep(round: round, in: context)
    let outcome: GossipReport.Outcome
    let record: GossipRecord
    switch learner.participant.role {
    case .honest:
      let message = learner.message(round: round)
      let heard = try await talk.hear(saying: learner.outNeighbors.map { ($0, message) })
      record = heard.record
      outcome = try await learner.move(record, hearing: heard.vectors, in: context)
    case .byzantine(let node):
      let heard = try await talk.hear(saying: [])
      record = heard.record
      let (lies, failure) = try learner.lies(node, round: round, hearing: heard.vectors)
      step.failure = failure ?? step.failure
      try await talk.say(lies)
      outcome = .lied
    }
    self.learner = learner
    state = talk.state
    let losses = talk.takeLosses()
    return learner.report(
      step, record, outcome, dropped: losses.dropped, undelivered: losses.undelivered)
  }
}
