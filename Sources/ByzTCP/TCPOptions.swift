public import ByzAuthentication
public import ByzRuntime

/// How to connect to a worker on another machine.
public struct TCPOptions: Sendable {
  /// Encryption, and whose certificates to trust; nil for none.
  public var tls: TLSOptions?
  /// What both sides prove to hold; nil when certificates are enough.
  public var token: Token?
  /// How long one attempt may take, TLS included. By default 5 seconds.
  public var connectTimeout: Duration = .seconds(5)
  /// What the worker may send.
  public var limits = WireLimits()
  /// How often to try to connect, and how long to wait in between. A connection that was made and
  /// lost is not repeated: whether a call has run is then unknown.
  public var retry = RetryPolicy()
  /// Refuses a worker that would compute other bits than this process, since its kernels or its BLAS are others.
  public var requiresSameBits = false
  /// Allows a connection without TLS to another machine, where anyone on the way reads and changes
  /// everything.
  public var insecure = false

  /// No TLS, no token: for a worker on this machine.
  public init(tls: TLSOptions? = nil, token: Token? = nil) {
    self.tls = tls
    self.token = token
  }
}

/// What a host of workers demands of those who connect, and how much of it they get.
///
/// Certificates of clients are demanded when ``tls`` names trust roots. A peer that has not proved
/// its token may send messages of 64 KiB and no tensors.
public struct TCPListenerOptions: Sendable {
  /// Encryption; with ``TLSOptions/trustRootsFile``, clients need a certificate that those roots
  /// have signed. Nil for none.
  public var tls: TLSOptions?
  /// What both sides prove to hold; nil to ask for none.
  public var token: Token?
  /// What a peer may send, once it has proved who it is.
  public var limits = WireLimits()
  /// The most connections at a time. By default 1,024.
  public var maxConnections = 1024
  /// The most connections at a time from one address, or one IPv6 network of 64 bits. By default
  /// 256.
  public var maxConnectionsPerAddress = 256
  /// The most connections in one second from one address; more are closed unanswered. By default
  /// 128.
  public var maxAcceptsPerSecondPerAddress = 128
  /// How long a connection has from its first packet until its first message is there whole, TLS
  /// and the proof of the token included. By default 30 seconds.
  public var handshakeTimeout: Duration = .seconds(30)
  /// How fast a message that has begun must arrive, averaged over ``progressInterval``. By default
  /// 1,024 bytes a second.
  public var minimumBytesPerSecond = 1024
  /// How long a message that has begun may be slower than ``minimumBytesPerSecond``. By default 10
  /// seconds.
  public var progressInterval: Duration = .seconds(10)
  /// How many bytes of a connection are taken within a second, at least 1 MiB and ``minimumBytesPerSecond``; nil for as many as come.
  /// Who sends more waits.
  public var maxBytesPerSecond: Int?
  /// How many messages of a connection are taken within a second, at least 1,000; nil for as many as come. Who sends more waits. A
  /// call is one; so are a heartbeat, one for each `Liveness.interval`, and the answer to one of the other side's.
  public var maxMessagesPerSecond: Int?
  /// Allows strangers: listens on other than loopback addresses without certificates of clients, or
  /// a token within TLS.
  public var insecure = false
  /// How workers of this host connect to those of other hosts, to send mail where their client says;
  /// nil for the ``tls``, ``token`` and ``insecure`` of this listener.
  public var siblings: TCPOptions?

  /// No TLS, no token: for peers on this machine.
  public init(tls: TLSOptions? = nil, token: Token? = nil) {
    self.tls = tls
    self.token = token
  }
}

extension TCPListenerOptions {
  /// How workers of this host connect to those of others.
  package var connectingToSiblings: TCPOptions {
    if let siblings { return siblings }
    var options = TCPOptions(tls: tls, token: token)
    options.insecure = insecure
    options.limits = limits
    // The others listen already: their client has reached them.
    options.retry.attempts = 3
    options.connectTimeout = .seconds(2)
    return options
  }
}

/// How often to try to connect: attempt k + 2 begins half to all of `min(cap, base · 2ᵏ)` after
/// attempt k + 1 has failed.
///
/// Half of the wait is random, so that a hundred workers do not return at the same instant to a
/// host that has just restarted.
public struct RetryPolicy: Hashable, Sendable {
  /// The number of attempts, the first included. By default 8.
  public var attempts = 8
  /// The longest wait before the second attempt. By default 50 milliseconds.
  public var base: Duration = .milliseconds(50)
  /// The longest wait of all. By default 5 seconds.
  public var cap: Duration = .seconds(5)
  /// Where the random half comes from; nil for other numbers each time.
  public var seed: UInt64?

  /// The defaults: 8 attempts within 3 to 7 seconds, where they fail at once.
  public init() {}
}
