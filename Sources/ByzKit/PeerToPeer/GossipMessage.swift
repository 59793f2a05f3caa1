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

/// What a transport tells a node.
public enum GossipEvent: Sendable {
  /// A neighbor sent something. The transport vouches for `from`, the node's number in the
  /// topology.
  case message(GossipMessage, from: Int)
  /// A node has left, and nothing more will come from it. Comes after everything it sent.
  case left(Int)
}

/// How one node reaches its neighbors: within a process, or over connections.
///
/// One task receives at a time; sends may overlap, and messages to one node arrive in the order in
/// which their sends began. What is in flight is bounded: a send waits while its receiver is
/// behind.
public protocol GossipTransport: Sendable {
  /// Sends a message, and returns when the transport has taken it.
  ///
  /// - Throws: `CancellationError`; an error of the transport when the message did not or may not
  ///   arrive.
  func send(_ message: GossipMessage, to node: Int) async throws

  /// The next event; waits for it. Nil when nothing more can come.
  ///
  /// A call that is cancelled either throws `CancellationError` and takes nothing, or returns an
  /// event. An event is returned once.
  func next() async throws -> GossipEvent?

  /// Sends no more and reads no more; the neighbors are told. Calling it again does nothing.
  func close()
}
