public import ByzRuntime
import ByzTensor

extension PeerToPeer {
  /// Repeats rounds as they were recorded, bit for bit, whoever ran them: ``round(on:)``,
  /// ``run(rounds:arrivals:on:)``, or nodes of their own whose timing decided who took part.
  ///
  /// Begin with a copy from before the first of the records, in the mode of the run, and give all records of an asynchronous run in one call. Afterwards no node
  /// keeps anything that it heard: in step nothing is missing then; out of step the next round begins without the older vectors that
  /// it could have used.
  ///
  /// - Parameters:
  ///   - records: those of all nodes, each node's in the order of its rounds; how nodes are mixed
  ///     does not matter.
  ///   - pool: whose workers compute; the calling task if nil.
  /// - Returns: the reports in an order in which the rounds could have ended.
  /// - Throws: ``PeerToPeerError/impossibleRecord(_:)`` for a record that does not follow from the
  ///   others; ``PeerToPeerError/stepFailed(_:reason:)`` where a node cannot take a local step that it took in the run;
  ///   `CancellationError`, or `RuntimeError` when the pool fails. Nothing is changed then.
  @discardableResult
  public mutating func replay(
    _ records: [GossipRecord], on pool: ActorPool? = nil
  ) async throws -> [GossipReport] {
    var replay = try Replay(self, records, pool: pool)
    try await replay.finish()
    self = replay.peers
    return replay.reports
  }
}

private struct Replay {
  private(set) var peers: PeerToPeer
  private(set) var reports: [GossipReport] = []
  private let pool: ActorPool?
  /// Each node's records that are still to come, the next one last.
  private var ahead: [[GossipRecord]]
  private var steps: [Learner.LocalStep?]
  /// The vectors that have been sent and that a record still to come uses.
  private var sent: [Vector: Tensor<Float>] = [:]
  /// How many records still to come use a vector.
  private var wanted: [Vector: Int] = [:]

  /// What one node sent to another in a round of the sender.
  private struct Vector: Hashable {
    let contribution: GossipRecord.Contribution
    let receiver: Int
  }

  init(_ peers: PeerToPeer, _ records: [GossipRecord], pool: ActorPool?) throws(PeerToPeerError) {
    self.peers = peers
    self.pool = pool
    ahead = peers.learners.map { _ in [] }
    steps = peers.learners.map { _ in nil }
    for record in records {
      guard ahead.indices.contains(record.node),
        record.round == peers.states[record.node].round + ahead[record.node].count,
        peers.states[record.node].couldEnd(as: record)
      else { throw .impossibleRecord(record) }
      ahead[record.node].append(record)
      for contribution in record.used {
        wanted[Vector(contribution: contribution, receiver: record.node), default: 0] += 1
      }
    }
    for node in ahead.indices { ahead[node].reverse() }
  }

  mutating func finish() async throws {
    for node in ahead.indices { try await begin(node) }
    while let left = ahead.lazy.compactMap(\.last).first {
      var hasMoved = false
      for node in ahead.indices {
        while let record = ahead[node].last, let vectors = vectors(of: record) {
          try await end(record, hearing: vectors)
          hasMoved = true
        }
      }
      guard hasMoved else { throw PeerToPeerError.impossibleRecord(left) }
    }
    for node in peers.states.indices {
      peers.states[node].skip(
        to: peers.states[node].round + reports.count { $0.record.node == node })
    }
  }

  private func context(of node: Int) -> OperatorContext {
    OperatorContext(nodeName: peers.learners[node].participant.name, pool: pool)
  }

  /// The vectors of a record, if all have been sent.
  private func vectors(of record: GossipRecord) -> [Tensor<Float>]? {
    var vectors: [Tensor<Float>] = []
    for contribution in record.used {
      guard
        let vector = sent[Vector(contribution: contribution, receiver: record.node)]
          ?? peers.states[record.node].kept(contribution)
      else { return nil }
      vectors.append(vector)
    }
    return vectors
  }

  private mutating func begin(_ node: Int) async throws {
    guard let record = ahead[node].last else { return }
    steps[node] =
      record.stepFailed
      ? peers.learners[node].failLocalStep()
      : try await peers.learners[node].takeLocalStep(round: record.round, in: context(of: node))
    if !record.stepFailed, let step = steps[node], step.hasFailed {
      throw PeerToPeerError.stepFailed(record, reason: step.failure ?? "")
    }
    let learner = peers.learners[node]
    guard !learner.participant.isByzantine else { return }
    for neighbor in learner.outNeighbors {
      send(learner.message(round: record.round), from: node, to: neighbor)
    }
  }

  private mutating func send(_ message: GossipMessage, from node: Int, to neighbor: Int) {
    let vector = Vector(
      contribution: .init(sender: node, round: message.round), receiver: neighbor)
    if wanted[vector] != nil { sent[vector] = message.vector }
  }

  private mutating func end(_ record: GossipRecord, hearing vectors: [Tensor<Float>]) async throws {
    let node = record.node
    var step = steps[node] ?? Learner.LocalStep()
    let outcome: GossipReport.Outcome
    if case .byzantine(let liar) = peers.learners[node].participant.role {
      let (messages, failure) = try peers.learners[node].lies(
        liar, round: record.round, hearing: vectors)
      step.failure = failure ?? step.failure
      for (neighbor, message) in messages { send(message, from: node, to: neighbor) }
      outcome = .lied
    } else {
      outcome = try await peers.learners[node].move(
        record, hearing: vectors, in: context(of: node))
    }
    reports.append(peers.learners[node].report(step, record, outcome, dropped: []))
    ahead[node].removeLast()
    forget(record)
    try await begin(node)
  }

  /// Lets go of what no record to come uses.
  private mutating func forget(_ record: GossipRecord) {
    for contribution in record.used {
      let vector = Vector(contribution: contribution, receiver: record.node)
      guard let count = wanted[vector], count > 1 else {
        (wanted[vector], sent[vector]) = (nil, nil)
        continue
      }
      wanted[vector] = count - 1
    }
  }
}
