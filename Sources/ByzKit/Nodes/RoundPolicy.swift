/// How many nodes a round needs, and how long it waits for all of them.
///
/// All nodes are waited for until the deadline; after it the round goes on as soon as `quorum`
/// vectors are there. Without a deadline it waits until every node has answered or failed. Beyond the
/// limit it waits for nobody: without one, nodes that never answer can keep the others from every
/// thread of a pool, and the round from its end. A node
/// that failed or was late is asked again in the next round. Who took part depends on time, so
/// ``RoundReport/record`` keeps it, and ``ParameterServer/replay(_:on:)`` repeats it bit for bit.
public struct RoundPolicy: Hashable, Codable, Sendable {
  /// How many vectors a round needs, of all nodes together: `0 ≤ quorum ≤ n`. Byzantine nodes see
  /// the honest gradients that arrived, so they are never late; `quorum` less their number is what
  /// is waited for from honest nodes. One of them is needed in any case: no step is taken on lies alone.
  public var quorum: Int
  /// How long all nodes are waited for; nil for as long as they take.
  public var deadline: Duration?
  /// How long any node is waited for: with fewer than `quorum` vectors then, no step is taken; nil for as long as they take.
  public var limit: Duration?

  /// By default every node is waited for, and whatever does not fail is enough.
  public init(quorum: Int = 1, deadline: Duration? = nil, limit: Duration? = nil) {
    self.quorum = quorum
    self.deadline = deadline
    self.limit = limit
  }

  func validate(n: Int) throws(ModelError) {
    guard (0...n).contains(quorum) else {
      throw .invalidHyperparameter(
        name: "quorum", value: Double(quorum), bound: "0 ≤ quorum ≤ n = \(n)")
    }
  }
}

/// Who took part in a round: all that is needed to repeat it.
public struct RoundRecord: Hashable, Codable, Sendable {
  /// The number of the round, from 0.
  public let round: Int
  /// The nodes whose vectors were aggregated, by their place: honest ones first, ascending.
  public let participants: [Int]

  /// A record, such as one read from a file.
  public init(round: Int, participants: [Int]) {
    self.round = round
    self.participants = participants
  }
}

/// Why a round could not be repeated.
public enum ReplayError: Error, Hashable, Sendable {
  /// The record is of another round than the server's next.
  case wrongRound(expected: Int, actual: Int)
  /// The participants are not ascending, or there are no such nodes.
  case invalidParticipants([Int], nodes: Int)
  /// A node that took part fails now.
  case participantFailed(name: String, reason: String)
}

extension ReplayError: CustomStringConvertible {
  /// What is wrong, with the number to change.
  public var description: String {
    switch self {
    case .wrongRound(let expected, let actual):
      "The record is of round \(actual), but the server's next is \(expected)."
    case .invalidParticipants(let participants, let nodes):
      "Participants \(participants) are not ascending numbers in 0..<\(nodes)."
    case .participantFailed(let name, let reason):
      "Node \(name) took part in the recorded round, but fails now: \(reason)"
    }
  }
}

extension RoundRecord {
  func validate(round: Int, nodes: Int) throws(ReplayError) {
    guard self.round == round else {
      throw .wrongRound(expected: round, actual: self.round)
    }
    let isAscending = zip(participants, participants.dropFirst()).allSatisfy { $0 < $1 }
    guard isAscending, participants.allSatisfy((0..<nodes).contains) else {
      throw .invalidParticipants(participants, nodes: nodes)
    }
  }
}
