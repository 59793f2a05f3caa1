/// One side of a proof that both sides hold the same secret, made before anything else is said.
///
/// A value: each message goes in, what to do comes out. ``Peer`` carries the bodies as messages of kind
/// ``Message/Kind/authentication`` and accepts nothing else until both sides are done.
package protocol LinkAuthenticator: Sendable {
  /// What this side says first, or nil if the other side begins.
  mutating func begin() -> [UInt8]?

  /// Takes in what the other side said.
  ///
  /// - Throws: ``RuntimeError/Code/authenticationFailed``; the link is closed then.
  mutating func receive(_ body: [UInt8]) throws(RuntimeError) -> LinkAuthenticationStep
}

/// What one side of a proof does next.
package struct LinkAuthenticationStep: Hashable, Sendable {
  /// What to say, if anything.
  package var reply: [UInt8]?
  /// Whether this side is satisfied: after the reply nothing more is needed.
  package var isDone: Bool

  package init(reply: [UInt8]? = nil, isDone: Bool) {
    self.reply = reply
    self.isDone = isDone
  }
}
