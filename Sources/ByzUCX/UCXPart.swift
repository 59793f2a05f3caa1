/// One piece of a message on its way: the head at index 0, which is sent last, and before it what is too large for the head.
///
/// `docs/wire-format.md` draws frames; here the bytes of one frame are dealt out over active messages.
package struct UCXPart: Hashable, Sendable {
  /// The message's number in its direction, from 0.
  package var frame: UInt64
  /// Which part this is.
  package var index: Int
  /// How many parts the message has, at least 1. 0 is a greeting, with which each side begins.
  package var count: Int

  package init(frame: UInt64, index: Int, count: Int) {
    self.frame = frame
    self.index = index
    self.count = count
  }

  /// What a listener says first, and a client when it has heard it; messages come after both.
  package static let greeting = UCXPart(frame: 0, index: 0, count: 0)

  /// The longest head that is sent eagerly, in bytes: what UCX's transports take in one piece. A longer one becomes a part of its
  /// own, and so does a tensor of more than this.
  package static let eagerByteCount = 8 << 10
  /// The most bytes on their way at once, unless one message has more.
  package static let windowByteCount = 16 << 20
  /// The most parts on their way at once, unless one message has more.
  package static let windowPartCount = 1024
}
