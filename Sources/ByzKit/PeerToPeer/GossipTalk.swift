import ByzTensor

/// A node's talk with its neighbors during a run: in step with them, or at its own pace.
protocol GossipTalk: Sendable {
  /// A message, and for whom it is.
  typealias Outgoing = (to: Int, message: GossipMessage)
  /// Whose vectors a round may use, and the vectors.
  typealias Heard = (record: GossipRecord, vectors: [Tensor<Float>])

  /// What the node has heard.
  var state: GossipState { get }

  /// Begins a round with what the node has to say, and returns when enough was heard or the time is over.
  ///
  /// - Throws: `CancellationError`; what ``GossipTransport/next(from:)`` throws.
  mutating func hear(saying letters: [Outgoing]) async throws -> Heard

  /// Says what follows from what was heard.
  mutating func say(_ letters: [Outgoing]) async throws

  /// What came and was not used, and whom letters are known not to have reached, since this was last asked.
  mutating func takeLosses() -> (dropped: [DroppedVector], undelivered: [Int])
}
