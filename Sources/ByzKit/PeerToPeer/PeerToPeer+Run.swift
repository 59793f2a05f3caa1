public import ByzRuntime
public import ByzTensor

extension PeerToPeer {
  /// Runs rounds in which messages arrive one at a time, in an order drawn at random, and each node
  /// goes on when its mode says so.
  ///
  /// Time is virtual: the same key gives the same order, participants and bits, with any pool.
  /// Messages from one node to another keep their order, and wait while the sender is too far ahead.
  /// When nothing can arrive and a node still waits, its time is over.
  ///
  /// - Parameters:
  ///   - rounds: how many each node does.
  ///   - key: what the order is drawn from.
  ///   - pool: whose workers compute and aggregate; the calling task if nil. The nodes go one after
  ///     another.
  /// - Returns: the reports in the order in which the rounds ended. Their records repeat the run,
  ///   see ``replay(_:on:)``.
  /// - Throws: `CancellationError`, or `RuntimeError` when the pool fails; nothing is changed then.
  @discardableResult
  public mutating func run(
    rounds: Int, arrivals key: RandomKey, on pool: ActorPool? = nil
  ) async throws -> [GossipReport] {
    var run = VirtualRun(self, rounds: rounds, key: key, pool: pool)
    try await run.finish()
    self = run.peers
    return run.reports
  }
}

/// A run in virtual time: what is on its way, and who may begin a round.
private struct VirtualRun {
  var peers: PeerToPeer
  private(set) var reports: [GossipReport] = []
  private let lastRounds: [Int]
  private let pool: ActorPool?
  private var order: RandomStream
  private var onTheWay: [Delivery] = []
  private var idle: [Int]
  private var steps: [Learner.LocalStep]
  private var dropped: [[DroppedVector]]

  private struct Delivery {
    let from: Int
    let to: Int
    let message: GossipMessage
  }

  init(_ peers: PeerToPeer, rounds: Int, key: RandomKey, pool: ActorPool?) {
    self.peers = peers
    self.pool = pool
    // No run gets as far as a number that does not fit.
    lastRounds = peers.states.map {
      let (last, isTooFar) = $0.round.addingReportingOverflow(rounds)
      return isTooFar ? .max : last
    }
    order = RandomStream(key)
    idle = Array(peers.learners.indices)
    steps = peers.learners.map { _ in Learner.LocalStep() }
    dropped = peers.learners.map { _ in [] }
  }

  mutating func finish() async throws {
    while true {
      try Task.checkCancellation()
      if !idle.isEmpty {
        try await begin(idle.removeFirst())
      } else if let next = takeNext() {
        try await handle(.received(next.message, from: next.from), of: next.to)
      } else if let waiting = peers.states.firstIndex(where: \.isCollecting) {
        try await handle(.deadline, of: waiting)
      } else {
        return
      }
    }
  }

  private func context(of node: Int) -> OperatorContext {
    OperatorContext(nodeName: peers.learners[node].participant.name, pool: pool)
  }

  private mutating func begin(_ node: Int) async throws {
    let round = peers.states[node].round
    guard round < lastRounds[node] else { return }
    steps[node] = try await peers.learners[node].takeLocalStep(round: round, in: context(of: node))
    let learner = peers.learners[node]
    if !learner.participant.isByzantine {
      send(learner.outNeighbors.map { ($0, learner.message(round: round)) }, from: node)
    }
    try await handle(.began, of: node)
  }

  private mutating func send(_ messages: [(to: Int, message: GossipMessage)], from node: Int) {
    onTheWay += messages.map { Delivery(from: node, to: $0.to, message: $0.message) }
  }

  /// The oldest message between two nodes that are drawn; nil when no receiver has room for one.
  private mutating func takeNext() -> Delivery? {
    let ready = onTheWay.indices.filter { index in
      peers.states[onTheWay[index].to].hasRoom(for: onTheWay[index].from)
    }
    guard !ready.isEmpty else { return nil }
    let drawn = onTheWay[ready[order.integer(below: ready.count)]]
    let oldest = onTheWay.firstIndex { $0.from == drawn.from && $0.to == drawn.to }
    return onTheWay.remove(at: oldest ?? 0)
  }

  private mutating func handle(_ event: GossipState.Event, of node: Int) async throws {
    for directive in peers.states[node].handle(event) {
      switch directive {
      case .drop(let vector): dropped[node].append(vector)
      case .proceed(let record, let vectors): try await end(record, hearing: vectors)
      }
    }
  }

  private mutating func end(_ record: GossipRecord, hearing vectors: [Tensor<Float>]) async throws {
    let node = record.node
    let outcome: GossipReport.Outcome
    if case .byzantine(let liar) = peers.learners[node].participant.role {
      let (messages, failure) = try peers.learners[node].lies(
        liar, round: record.round, hearing: vectors)
      steps[node].failure = failure ?? steps[node].failure
      send(messages, from: node)
      outcome = .lied
    } else {
      outcome = try await peers.learners[node].move(
        record, hearing: vectors, in: context(of: node))
    }
    reports.append(
      peers.learners[node].report(steps[node], record, outcome, dropped: dropped[node]))
    dropped[node] = []
    idle.append(node)
  }
}
