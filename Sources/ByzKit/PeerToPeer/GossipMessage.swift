public import ByzTensor

/// What a node sends to a neighbor in a round. Who sent it is for the transport to say, so that no
/// node can speak in another's name.
public struct GossipMessage: Codable, Sendable {
  /// The sender's round, from 0.
  public let round: Int
  /// The sender's model after its local step; or whatever a Byzantine node claims it to be.
  public let vector: Tensor<Float>

  /// A vector of a round.
  public init(round: Int, vector: Tensor<Float>) {
    self.round = round
    self.vector = vector
  }
}

/// What a transport tells a node about a neighbor.
public enum GossipEvent: Sendable {
  /// The neighbor sent something. The transport vouches that nobody else did.
  case message(GossipMessage)
  /// The neighbor has left, and nothing more will come from it. Comes after everything it sent.
  case left
}

/// How one node reaches its neighbors: within a process, or over connections.
///
/// Sends may overlap, and messages to one node arrive in the order in which their sends began. What
/// is in flight is bounded: a send waits while its receiver is behind with what this sender sent,
/// whatever others send.
public protocol GossipTransport: Sendable {
  /// Sends a message, and returns when the transport has taken it. A node at its own pace goes on meanwhile, and has no other
  /// message for the neighbor under way; a run does not end before its last sends, which are cancelled then, return.
  ///
  /// - Throws: `CancellationError`; an error of the transport when the message did not or may not
  ///   arrive.
  func send(_ message: GossipMessage, to node: Int) async throws

  /// What comes next from a neighbor; waits for it. Called by one task at a time for each neighbor,
  /// and not for one that is too far ahead, or has sent very much in one round: its messages stay where they are meanwhile.
  ///
  /// A call that is cancelled either throws `CancellationError` and takes nothing, or returns an
  /// event. A message is returned once; that the neighbor has left, each time.
  func next(from neighbor: Int) async throws -> GossipEvent

  /// Sends no more and reads no more; the neighbors are told. Calling it again does nothing.
  func close()
}
