public import ByzAuthentication
public import ByzRuntime

/// What both ends of a UCX link agree on, and what one may demand of the other.
public struct UCXOptions: Sendable {
  /// What both sides prove to hold before anything else is said; nil to ask for no proof, which only loopback addresses allow.
  public var token: Token?
  /// Whether everyone who can reach the network is trusted, without which only loopback addresses are used: UCX encrypts nothing,
  /// and it parses what others send before ByzKit sees it.
  public var trustedFabric = false
  /// Refuses whoever would compute other bits than this process, since their kernels or their BLAS are others.
  public var requiresSameBits = false
  /// What a peer may send.
  public var limits = WireLimits()
  /// How long a connection may take to come about.
  public var connectTimeout: Duration = .seconds(10)
  /// How many links a listener keeps at once, each of which has a thread; who comes later is refused.
  public var maximumConnections = 256
  /// How many of them may come from one address. By default as many as there are at all.
  public var maximumConnectionsPerAddress = 256
  /// How many connections of one address a listener lets in within one second; who comes later is refused. By default 256, so that
  /// a full pool can start at once.
  public var maximumAcceptsPerSecondPerAddress = 256
  /// For how long to look for work before sleeping. None by default, since it takes a whole processor from others; some 50 µs
  /// pay off where there are processors to spare.
  public var spin: Duration = .zero
  /// Instead of `UCX_TLS`, for tests.
  package var transports: String?
  /// Whether shared memory is used, for tests; nil for loopback addresses only.
  package var sharedMemory: Bool?

  /// The defaults, and a token if there is one.
  public init(token: Token? = nil, trustedFabric: Bool = false) {
    self.token = token
    self.trustedFabric = trustedFabric
  }

  /// Checks that an address may be used.
  ///
  /// - Throws: `RuntimeError.Code.invalidConfiguration` with what is missing.
  func check(_ address: UCXAddress) throws(RuntimeError) {
    guard !address.isLoopback else { return }
    var missing: [String] = []
    if !trustedFabric { missing.append("trustedFabric: true, since UCX does not encrypt") }
    if token == nil { missing.append("a token") }
    guard missing.isEmpty else {
      throw RuntimeError(
        .invalidConfiguration,
        "\(address) is not a loopback address, which takes \(missing.joined(separator: ", and ")).")
    }
  }
}
