package import ByzTensor

/// One message between two processes: what it is, which call it belongs to, a small encoded body, and tensors' bytes beside it.
///
/// ``Frame`` and ``FrameReader`` turn it into bytes and back; `docs/wire-format.md` draws every byte.
package struct Message: Sendable {
  /// What a message is for.
  package enum Kind: UInt8, CaseIterable, Sendable {
    /// The first message of each side: who it is and what it speaks.
    case hello = 1
    /// A question whose answer shows that the process lives.
    case ping = 2
    /// The answer to a ping.
    case pong = 3
    /// Asks the other side to do something and to answer.
    case call = 4
    /// What a call returned.
    case reply = 5
    /// What a call threw.
    case failure = 6
    /// The caller no longer wants the answer; there will be one all the same.
    case cancel = 7
    /// No call will follow: finish what is running and close.
    case goodbye = 8
    /// Segments in shared memory are no longer read: their numbers are in the body.
    case release = 9
    /// A step of the proof that both sides hold the same token, before the hello.
    case authentication = 10
  }

  package var kind: Kind
  /// Which life of the connection it belongs to; a message of another one is dropped.
  package var epoch: UInt32
  /// The number of the call, chosen by the caller; 0 where there is none.
  package var call: UInt64
  /// How long from now the answer is wanted; nil for no limit. Travels in whole microseconds.
  package var timeLeft: Duration?
  /// The encoded values.
  package var body: [UInt8]
  /// The bytes of tensors, which the body refers to by position.
  package var segments: [Segment]

  package init(
    _ kind: Kind, epoch: UInt32 = 0, call: UInt64 = 0, timeLeft: Duration? = nil,
    body: [UInt8] = [], segments: [Segment] = []
  ) {
    self.kind = kind
    self.epoch = epoch
    self.call = call
    self.timeLeft = timeLeft
    self.body = body
    self.segments = segments
  }

  /// About what it takes to send.
  package var byteCount: Int { segments.reduce(64 + body.count) { $0 + 16 + $1.byteCount } }
}
