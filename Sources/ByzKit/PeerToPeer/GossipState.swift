public import ByzTensor

/// What one node has heard, and whether that is enough, without clocks, tasks or bytes: an event
/// goes in, directives come out.
///
/// Each vector is used in a round that it belongs to, or dropped with a reason, or was there when a
/// round ended without a quorum or a newer one came: nothing leaks into another round. Memory is
/// bounded here, whatever neighbors send: in step ``lookahead`` + 1 vectors of each neighbor, else one.
/// In step one that leads by more is to be left unread, see ``hasRoom(for:)``, and nothing is lost.
public struct GossipState: Sendable {
  /// Something that happens to the node.
  public enum Event: Sendable {
    /// The node has taken its local step, and its round begins.
    case began
    /// A vector arrived; the transport vouches for the sender.
    case received(GossipMessage, from: Int)
    /// A node is gone, and nothing more will come from it.
    case left(Int)
    /// The time of the round is over.
    case deadline
  }

  /// Something the node is to do.
  public enum Directive: Sendable {
    /// Report a vector that is not used.
    case drop(DroppedVector)
    /// End the round with these vectors, in the order of `record.used`.
    case proceed(record: GossipRecord, vectors: [Tensor<Float>])
  }

  /// How many vectors of rounds to come a node in step keeps of each neighbor, beside the one of its
  /// own round. Neighbors that hear each other are at most one round apart; one that does not hear
  /// this node leads by as much as it is let.
  public static let lookahead = 4

  /// The node.
  public let node: Int
  /// The round the node is in, or the next one while it is between two.
  public private(set) var round = 0
  /// Whether the node is in a round, and waits.
  public private(set) var isCollecting = false

  private let mode: GossipMode
  private let shape: [Int]
  /// Whether it lies about whatever it has heard when its time is over.
  private let isByzantine: Bool
  private var neighbors: [Int: Neighbor]

  private struct Neighbor: Sendable {
    /// In step: by round, none before the present one. Else only the latest.
    var vectors: [Int: Tensor<Float>] = [:]
    /// Rounds whose vectors came and could not be kept, so that no one waits for them.
    var missed: ClosedRange<Int>?
    var hasLeft = false

    /// In step: whether another vector can be kept.
    var hasRoom: Bool { vectors.count <= GossipState.lookahead }

    /// Remembers that the vector of a round will not be used.
    mutating func miss(_ round: Int) {
      missed = missed.map { min($0.lowerBound, round)...max($0.upperBound, round) } ?? round...round
    }
  }

  /// The state before the first round.
  ///
  /// - Parameters:
  ///   - node: the node's number.
  ///   - neighbors: the nodes it hears.
  ///   - shape: of the vectors it takes.
  ///   - mode: when it has heard enough.
  ///   - isByzantine: whether it lies: at a deadline whatever it has heard is enough then.
  public init(
    node: Int, neighbors: [Int], shape: [Int], mode: GossipMode, isByzantine: Bool = false
  ) {
    self.node = node
    self.mode = mode
    self.shape = shape
    self.isByzantine = isByzantine
    self.neighbors = Dictionary(neighbors.map { ($0, Neighbor()) }) { first, _ in first }
  }

  /// Takes in an event.
  public mutating func handle(_ event: Event) -> [Directive] {
    switch event {
    case .began:
      isCollecting = true
      return proceedIfComplete()
    case .received(let message, let sender):
      if let reason = keep(message, from: sender) {
        return [.drop(DroppedVector(sender, message.round, reason))] + proceedIfComplete()
      }
      return proceedIfComplete()
    case .left(let sender):
      neighbors[sender]?.hasLeft = true
      return proceedIfComplete()
    case .deadline:
      return isCollecting ? proceed() : []
    }
  }

  /// Whether there is room for another vector of a node. Where there is none, what the node sends is
  /// to wait where it is until this one has ended a round: else it would be dropped.
  ///
  /// Nobody who is waited for is without room.
  public func hasRoom(for sender: Int) -> Bool {
    guard mode.isInStep, let neighbor = neighbors[sender] else { return true }
    return neighbor.hasRoom
  }

  /// Whether rounds are in step.
  var isInStep: Bool { mode.isInStep }

  /// How many vectors it keeps.
  package var vectorCount: Int { neighbors.values.reduce(0) { $0 + $1.vectors.count } }

  /// The nodes it hears, in ascending order.
  var neighborNumbers: [Int] { neighbors.keys.sorted() }

  /// A vector that is kept for a round to come.
  func kept(_ contribution: GossipRecord.Contribution) -> Tensor<Float>? {
    neighbors[contribution.sender]?.vectors[contribution.round]
  }

  /// Counts every neighbor as there again.
  mutating func rejoinAll() {
    for sender in neighbors.keys { neighbors[sender]?.hasLeft = false }
  }

  /// Goes to the beginning of a round and forgets what was heard.
  mutating func skip(to round: Int) {
    self = GossipState(
      node: node, neighbors: neighborNumbers, shape: shape, mode: mode, isByzantine: isByzantine)
    self.round = round
  }
}

// MARK: - Arrivals

extension GossipState {
  /// Keeps a vector, or says why not.
  private mutating func keep(
    _ message: GossipMessage, from sender: Int
  ) -> DroppedVector.Reason? {
    guard var neighbor = neighbors[sender] else { return .notANeighbor }
    guard message.round >= 0 else { return .tooFarAhead }
    if let reason = refusal(of: message.round, by: neighbor) {
      if reason == .tooFarAhead { neighbors[sender]?.miss(message.round) }
      return reason
    }
    let reason: DroppedVector.Reason? =
      if message.vector.shape != shape {
        .wrongShape(message.vector.shape)
      } else if !message.vector.isFinite {
        .notFinite
      } else {
        nil
      }
    if reason != nil {
      neighbors[sender]?.miss(message.round)
      return reason
    }
    if mode.staleness != nil { neighbor.vectors.removeAll() }
    neighbor.vectors[message.round] = message.vector
    neighbors[sender] = neighbor
    return nil
  }

  private func refusal(of round: Int, by neighbor: Neighbor) -> DroppedVector.Reason? {
    if neighbor.vectors[round] != nil || neighbor.missed?.contains(round) == true {
      return .duplicate
    }
    if let staleness = mode.staleness {
      let newest = neighbor.vectors.keys.first ?? -1
      return round < newest || round < self.round - staleness ? .late : nil
    }
    if round < self.round { return .late }
    return neighbor.hasRoom ? nil : .tooFarAhead
  }
}

// MARK: - Decisions

extension GossipState {
  /// What the round may use, in ascending order of the senders.
  private var usable: [(contribution: GossipRecord.Contribution, vector: Tensor<Float>)] {
    neighbors.keys.sorted().compactMap { sender in
      guard
        let (round, vector) = neighbors[sender]?.vectors.first(where: { isUsable($0.key) })
      else { return nil }
      return (GossipRecord.Contribution(sender: sender, round: round), vector)
    }
  }

  private func isUsable(_ round: Int) -> Bool { isUsable(round, in: self.round) }

  private func isUsable(_ round: Int, in own: Int) -> Bool {
    mode.staleness.map { round >= own - $0 } ?? (round == own)
  }

  /// Whether no round to come can use a vector of this one.
  func isTooOld(_ round: Int) -> Bool { round < self.round - (mode.staleness ?? 0) }

  /// Whether a round could have ended as a record says, had its vectors come.
  func couldEnd(as record: GossipRecord) -> Bool {
    let senders = record.used.map(\.sender)
    let least = isByzantine ? 0 : mode.quorum
    guard record.hasQuorum else { return senders.isEmpty && least != 0 }
    return senders.count >= least ?? 0 && senders.allSatisfy(neighbors.keys.contains)
      && zip(senders, senders.dropFirst()).allSatisfy { $0 < $1 }
      && record.used.allSatisfy { isUsable($0.round, in: record.round) }
  }

  /// Whether a vector that the round may use can still come from a neighbor that has sent none.
  private func isAwaited(_ neighbor: Neighbor) -> Bool {
    if neighbor.hasLeft || neighbor.vectors.keys.contains(where: isUsable) { return false }
    if mode.staleness != nil { return true }
    // Vectors come in the order of their rounds: after one of a later round none of this one comes.
    return neighbor.vectors.isEmpty && neighbor.missed?.contains(round) != true
  }

  private mutating func proceedIfComplete() -> [Directive] {
    guard isCollecting else { return [] }
    let isComplete = !neighbors.values.contains(where: isAwaited)
    if isComplete { return proceed(isComplete: true) }
    guard mode.staleness != nil, let quorum = mode.quorum else { return [] }
    let heard = neighbors.values.count { $0.vectors.keys.contains(where: isUsable) }
    return heard >= quorum ? proceed() : []
  }

  /// Ends the round with what is there, if that is enough.
  private mutating func proceed(isComplete: Bool = false) -> [Directive] {
    let used = usable
    // A neighbor that has left is missed by nobody, but counts if it was heard before.
    let expected = neighbors.values.count {
      !$0.hasLeft || $0.vectors.keys.contains(where: isUsable)
    }
    let hasQuorum =
      isByzantine || isComplete && mode.quorum == nil || used.count >= mode.quorum(of: expected)
    let record = GossipRecord(
      node: node, round: round, used: hasQuorum ? used.map(\.contribution) : [],
      hasQuorum: hasQuorum)
    isCollecting = false
    round += 1
    for sender in neighbors.keys {
      if mode.staleness == nil { neighbors[sender]?.vectors[round - 1] = nil }
      if let missed = neighbors[sender]?.missed, missed.upperBound < round {
        neighbors[sender]?.missed = nil
      }
    }
    return [.proceed(record: record, vectors: hasQuorum ? used.map(\.vector) : [])]
  }
}
