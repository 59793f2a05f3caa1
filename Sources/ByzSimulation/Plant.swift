/// A rule that the simulation can be told to break, to show that it would notice.
///
/// Each stands in the simulation's own shells around the production state machines, which stay as they are.
package enum Plant: String, CaseIterable, Sendable {
  /// Messages of an old life of a connection count as this life's.
  case epochUnchecked = "epoch-unchecked"
  /// A reply that arrives twice ends the call twice.
  case replyTwice = "reply-twice"
  /// A call that arrives twice is carried out twice.
  case callTwice = "call-twice"
  /// Silence never ends a connection.
  case heartbeatIgnored = "heartbeat-ignored"
  /// Pings do not say how many messages went before, so lost ones go unnoticed.
  case lossUnnoticed = "loss-unnoticed"
  /// Work is retried elsewhere, and what the lost worker still answers counts too.
  case retryKeepsAssignment = "retry-keeps-assignment"
  /// What a lost worker had in hand is forgotten.
  case lostWorkDropped = "lost-work-dropped"
  /// Results come in the order in which they arrive.
  case orderOfArrival = "order-of-arrival"
  /// Subtasks that failed count for the quorum.
  case quorumCountsFailures = "quorum-counts-failures"
  /// A vector that arrives twice is taken for the sender's next.
  case gossipTwice = "gossip-twice"
  /// A letter whose fate is unknown is sent once more.
  case unknownSentAgain = "unknown-sent-again"
  /// A mailbox takes letters in however full it is.
  case capacityIgnored = "capacity-ignored"
  /// A receiver that was cancelled takes a letter all the same.
  case cancelledReceiverTakes = "cancelled-receiver-takes"
  /// A worker that takes a new connection to another leaves the old one open.
  case oldConnectionKept = "old-connection-kept"
  /// When two workers cannot be brought together, only the first letter between them goes on.
  case failureUntold = "failure-untold"
}
