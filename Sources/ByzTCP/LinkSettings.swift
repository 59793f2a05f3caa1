import ByzRuntime
import NIOCore

/// What a connection is told by whoever makes it.
struct LinkSettings: Sendable {
  var isTLS: Bool
  /// What a peer may send once it is known.
  var limits: WireLimits
  /// Whether the other side has to prove a token first.
  var mustAuthenticate = false
  /// From the beginning until the connection can be used.
  var readyTimeout: Duration
  /// From the beginning until the first message, and the proof where one is due; nil for no limit.
  var admissionTimeout: Duration?
  /// How fast a message that has begun must arrive; nil for no limit.
  var progress: (interval: Duration, minimumBytesPerSecond: Int)?
  /// How much may come in within a second; nil for no limit.
  var rate: RateLimit?

  /// What every socket is told: small messages at once, and a question now and then whether the
  /// other machine is still there. The size of the buffers is left to the kernel, whose own choice
  /// grows further than what may be asked for.
  static let socketOptions: [(ChannelOptions.Types.SocketOption, SocketOptionValue)] = [
    (.tcpOption(.tcp_nodelay), 1), (.socketOption(.so_keepalive), 1),
  ]
  /// Large reads for tensors, small ones for small calls.
  static let reads = AdaptiveRecvByteBufferAllocator(
    minimum: 2048, initial: 16 << 10, maximum: 512 << 10)
  /// Of messages without bodies that is what may come in half a second at the lowest limit there is.
  static let limitedReads = FixedSizeRecvByteBufferAllocator(capacity: 16 << 10)
  /// What may lie in the channel, unsent, before it is given more.
  static let unsent = ChannelOptions.Types.WriteBufferWaterMark(low: 256 << 10, high: 1 << 20)
}

extension Duration {
  /// For timers; at least a nanosecond.
  var timeAmount: TimeAmount { max(TimeAmount(self), .nanoseconds(1)) }
}
