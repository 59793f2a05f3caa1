/// Why nodes cannot learn from each other as asked.
public enum PeerToPeerError: Error, Hashable, Sendable {
  /// There must be one participant, and one model to start from, for each node of the topology.
  case wrongCount(of: String, expected: Int, actual: Int)
  /// A node's rule does not work for its own vector and those of its neighbors.
  case illegalRule(node: Int, AggregationError)
  /// A quorum that a node with so many neighbors can never reach.
  case impossibleQuorum(node: Int, quorum: Int, neighbors: Int)
  /// A vector cannot be at most a negative number of rounds old.
  case negativeStaleness(Int)
  /// A record names a node, round or vector that the run could not have had.
  case impossibleRecord(GossipRecord)
  /// A node took its local step in the round of a record, and fails to now.
  case stepFailed(GossipRecord, reason: String)
  /// A message to a node that is not a neighbor, in the topology's direction.
  case notANeighbor(from: Int, to: Int)
  /// The node to send to has left, or this one has.
  case left(Int)
  /// The node is in the middle of another run.
  case alreadyRunning(node: Int)
  /// The node is to live in another process, but was not made from a ``ParticipantSpecification``.
  case notSpecified(node: Int)
}

extension PeerToPeerError: CustomStringConvertible {
  /// What is wrong, with the number to change.
  public var description: String {
    switch self {
    case .wrongCount(let what, let expected, let actual):
      "The topology has \(expected) nodes, but there are \(actual) \(what)."
    case .illegalRule(let node, let error): "Node \(node): \(error)"
    case .impossibleQuorum(let node, let quorum, let neighbors):
      "Node \(node) has \(neighbors) neighbors and cannot reach a quorum of \(quorum)."
    case .negativeStaleness(let staleness): "Staleness is \(staleness), at least 0 is needed."
    case .impossibleRecord(let record):
      "The record of node \(record.node) in round \(record.round) does not belong to this run."
    case .stepFailed(let record, let reason):
      "Node \(record.node) took its local step in round \(record.round) of the run, and fails to now: \(reason)"
    case .notANeighbor(let from, let to): "Node \(from) does not send to node \(to)."
    case .left(let node): "Node \(node) has left."
    case .alreadyRunning(let node): "Node \(node) is running already: one run at a time."
    case .notSpecified(let node):
      "Node \(node) cannot go to another process: make its participant from a ParticipantSpecification."
    }
  }
}
