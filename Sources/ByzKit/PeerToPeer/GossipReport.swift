import ByzRuntime

/// What of a node's round follows from no bits: whose vectors it used, which timing decides, and whether its local step failed, which
/// the place where it ran may. So a list of these repeats a run bit for bit.
public struct GossipRecord: Hashable, Codable, Sendable {
  /// The node.
  public let node: Int
  /// Its round, from 0.
  public let round: Int
  /// What it used beside its own vector, in ascending order of the senders. Of a Byzantine node:
  /// what it saw before it lied.
  public let used: [Contribution]
  /// Whether enough neighbors were heard; if not, nothing was used and the node stayed with its own
  /// vector.
  public let hasQuorum: Bool
  /// Whether the local step failed, so that the node went on with the model from before it.
  public internal(set) var stepFailed: Bool

  /// One neighbor's vector.
  public struct Contribution: Hashable, Codable, Sendable {
    /// Who sent it.
    public let sender: Int
    /// Of which of the sender's rounds it is.
    public let round: Int

    /// The vector of a sender and a round.
    public init(sender: Int, round: Int) {
      self.sender = sender
      self.round = round
    }
  }

  /// What a node used.
  public init(
    node: Int, round: Int, used: [Contribution], hasQuorum: Bool = true, stepFailed: Bool = false
  ) {
    self.node = node
    self.round = round
    self.used = used
    self.hasQuorum = hasQuorum
    self.stepFailed = stepFailed
  }
}

/// A vector that arrived and was not used.
public struct DroppedVector: Hashable, Codable, Sendable {
  /// Who sent it.
  public let sender: Int
  /// The round it claims to be of.
  public let round: Int
  /// Why it was dropped.
  public let reason: Reason

  /// Why a vector was dropped.
  public enum Reason: Hashable, Codable, Sendable {
    /// The sender is not a neighbor.
    case notANeighbor
    /// It is not as long as the model.
    case wrongShape([Int])
    /// It holds NaN or infinity.
    case notFinite
    /// A vector of this sender and round had come before.
    case duplicate
    /// Its round is over, or a newer vector of the sender had come before.
    case late
    /// Its round is negative, or as many of the sender's vectors as are kept were there already.
    case tooFarAhead
  }

  init(_ sender: Int, _ round: Int, _ reason: Reason) {
    self.sender = sender
    self.round = round
    self.reason = reason
  }
}

/// What one node did in one of its rounds.
public struct GossipReport: Hashable, Codable, Sendable {
  /// The node's name.
  public let name: String
  /// Whether it lies.
  public let isByzantine: Bool
  /// The mean loss of its local step, if it took one.
  public let loss: Float?
  /// Why it took no local step, or a Byzantine node could not make its lies; nil if all went well.
  /// An honest node that took no step still sends its model and aggregates.
  public let failure: String?
  /// Whose vectors it used: replaying the records repeats the run.
  public let record: GossipRecord
  /// What arrived since the round before and was not used; the first ``maxDropped`` of it, and of a run in another process the first 4,096 at most.
  public internal(set) var dropped: [DroppedVector]
  /// The neighbors that its vector did not reach; of a node at its own pace also those that had not taken in an earlier one when it
  /// had a newer one to send.
  public internal(set) var undelivered: [Int]
  /// What became of its model.
  public let outcome: Outcome

  /// The most vectors that ``dropped`` lists.
  public static let maxDropped = 256

  /// The most vectors that the reports of one run list where they come from another process: a liar must not make them longer than a
  /// message may be, of which they get half.
  static func maxDroppedInRun(in system: ByzActorSystem) -> Int {
    min(4096, mostByteCount(in: system) / 2 / 1024)
  }

  /// What is counted for a report in a message, without dropped vectors, by the number of neighbors that a node hears and is heard by.
  package static func byteCount(neighbors: Int) -> Int { 1024 + 32 * neighbors }

  /// The rounds whose reports fit into a message: into half of it, for the dropped vectors that they list take less than the other.
  static func mostRounds(neighbors: Int, in system: ByzActorSystem) -> Int {
    mostByteCount(in: system) / 2 / byteCount(neighbors: neighbors)
  }

  private static func mostByteCount(in system: ByzActorSystem) -> Int {
    min(system.leastBodyLimit ?? .max, WireLimits().body)
  }

  /// What became of a node's model.
  public enum Outcome: Hashable, Codable, Sendable {
    /// It moved to the aggregate of its own and its neighbors' vectors.
    case moved
    /// Too few neighbors were heard; the model is that after the local step.
    case tooFewNeighbors
    /// The rule refused the vectors; the model is that after the local step.
    case refused(AggregationError)
    /// The aggregate would have been NaN or infinite; the model is that after the local step.
    case notFinite
    /// The node is Byzantine.
    case lied
  }
}

extension Sequence<GossipReport> {
  /// The same, of whose dropped vectors only the first are listed.
  package func listing(atMost count: Int) -> [GossipReport] {
    var room = count
    return map { report in
      var report = report
      report.dropped = Array(report.dropped.prefix(room))
      room -= report.dropped.count
      return report
    }
  }

  /// The mean of the honest losses; nil if there are none.
  public var meanLoss: Float? {
    let losses = compactMap { $0.isByzantine ? nil : $0.loss }
    return losses.isEmpty ? nil : losses.reduce(0, +) / Float(losses.count)
  }

  /// What ``PeerToPeer/replay(_:on:)`` needs to repeat the rounds.
  public var records: [GossipRecord] { map(\.record) }
}
