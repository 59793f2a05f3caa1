import ByzAuthentication
package import ByzRuntime
import NIOCore
import NIOPosix
import NIOSSL

/// Listens while `body` runs.
///
/// - Parameters:
///   - address: By default loopback, on a port that the system chooses.
///   - accept: Called with each connection once TLS is done, on its event loop, so it must not
///     block; and with the proof to ask for first, when there is a token. It starts the link.
///   - body: Is handed the address with the port that was chosen. When it returns or throws, the
///     listener and all its connections are closed.
/// - Throws: `RuntimeError.Code.invalidConfiguration` for an address that others than this
///   machine reach, without the means to tell who they are;
///   `RuntimeError.Code.transportUnavailable` when the address cannot be used; what `body`
///   throws.
package func withTCPListener<Result>(
  on address: TCPAddress = .loopback, options: TCPListenerOptions = TCPListenerOptions(),
  isolation: isolated (any Actor)? = #isolation,
  accept: @escaping @Sendable (any Link, (any LinkAuthenticator)?) -> Void,
  body: (TCPAddress) async throws -> Result
) async throws -> Result {
  try await withTCPListener(
    on: address, options: options, accept: accept, listening: { bound, _ in try await body(bound) })
}

/// The same; `listening` is handed what stops listening too, while the connections there are stay.
package func withTCPListener<Result>(
  on address: TCPAddress, options: TCPListenerOptions,
  isolation: isolated (any Actor)? = #isolation,
  accept: @escaping @Sendable (any Link, (any LinkAuthenticator)?) -> Void,
  listening body: (TCPAddress, @escaping @Sendable () -> Void) async throws -> Result
) async throws -> Result {
  let listener = try TCPListener(address: address, options: options, accept: accept)
  let bound = try await listener.start()
  let result: Result
  do {
    result = try await body(bound, { listener.refuse() })
  } catch {
    await listener.stop()
    throw error
  }
  await listener.stop()
  return result
}

private final class TCPListener: Sendable {
  private let address: TCPAddress
  private let options: TCPListenerOptions
  private let context: NIOSSLContext?
  private let accept: @Sendable (any Link, (any LinkAuthenticator)?) -> Void
  private let state: Monitor<State>

  private struct State {
    var gate: ConnectionGate
    var server: (any Channel)?
    var connections: [ObjectIdentifier: any Channel] = [:]
  }

  init(
    address: TCPAddress, options: TCPListenerOptions,
    accept: @escaping @Sendable (any Link, (any LinkAuthenticator)?) -> Void
  ) throws(RuntimeError) {
    self.address = address
    self.options = options
    self.accept = accept
    context = try options.tls?.serverContext()
    state = Monitor(State(gate: ConnectionGate(options: options)))
  }

  func start() async throws -> TCPAddress {
    do {
      // Asks the name service for a name and waits; a listener starts once.
      let local = try SocketAddress.makeAddressResolvingHost(address.host, port: address.port)
      try options.check(local)
      try options.checkRates()
      let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
        .serverChannelOption(.backlog, value: 1024)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(.recvAllocator, value: LinkSettings.reads)
        .childChannelOption(.writeBufferWaterMark, value: LinkSettings.unsent)
        .childChannelInitializer { self.admit($0) }
        .bind(to: local).get()
      state.withLock { $0.server = server }
      return TCPAddress(server.localAddress) ?? address
    } catch let error as RuntimeError {
      throw error
    } catch {
      throw RuntimeError(
        .transportUnavailable,
        """
        tcp://\(address) cannot be listened on: the address must be one of this machine's, and the \
        port free.
        """,
        cause: error)
    }
  }

  /// Lets nobody new in.
  func refuse() {
    let server = state.withLock { state in
      state.gate.close()
      return state.server
    }
    server?.close(promise: nil)
  }

  /// Closes the listener and every connection; returns when none is left.
  func stop() async {
    let (server, connections) = state.withLock { state in
      state.gate.close()
      return (state.server, state.connections)
    }
    // A channel that is closed already says so by an error.
    try? await server?.close().get()
    for connection in connections.values { connection.close(promise: nil) }
    for connection in connections.values { try? await connection.closeFuture.get() }
  }

  /// Prepares a connection that has just come, or refuses it: an error closes it.
  private func admit(_ channel: any Channel) -> EventLoopFuture<Void> {
    channel.eventLoop.makeCompletedFuture {
      let party = channel.remoteAddress?.party ?? []
      let second = NIODeadline.now().uptimeNanoseconds / 1_000_000_000
      let refusal = state.withLock { state in
        let refusal = state.gate.admit(party, second: second)
        if refusal == nil { state.connections[ObjectIdentifier(channel)] = channel }
        return refusal
      }
      guard refusal == nil else { throw ChannelError.eof }
      channel.closeFuture.whenComplete { _ in
        self.state.withLock { state in
          state.gate.release(party)
          state.connections[ObjectIdentifier(channel)] = nil
        }
      }
      try prepare(channel)
    }
  }

  private func prepare(_ channel: any Channel) throws {
    if let sockets = channel.syncOptions {
      for (option, value) in LinkSettings.socketOptions {
        try sockets.setOption(option, value: value)
      }
      // What has been read waits its turn here: not much of it, or nobody would notice for long that the other side has gone.
      if options.rate != nil {
        try sockets.setOption(.recvAllocator, value: LinkSettings.limitedReads)
        try sockets.setOption(.maxMessagesPerRead, value: 1)
      }
    }
    if let context {
      try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
    }
    let settings = LinkSettings(
      isTLS: context != nil, limits: options.limits, mustAuthenticate: options.token != nil,
      readyTimeout: options.handshakeTimeout, admissionTimeout: options.handshakeTimeout,
      progress: (options.progressInterval, options.minimumBytesPerSecond), rate: options.rate)
    try LinkHandler.install(in: channel, settings: settings).whenSuccess { link in
      self.accept(
        link, self.options.token.map { TokenAuthenticator(role: .server, token: $0) })
    }
  }
}

extension ConnectionGate {
  package init(options: TCPListenerOptions) {
    self.init(
      maxConnections: options.maxConnections,
      maxConnectionsPerParty: options.maxConnectionsPerAddress,
      maxAcceptsPerSecond: options.maxAcceptsPerSecondPerAddress)
  }
}

extension TCPListenerOptions {
  fileprivate var rate: RateLimit? {
    guard maxBytesPerSecond != nil || maxMessagesPerSecond != nil else { return nil }
    return RateLimit(bytesPerSecond: maxBytesPerSecond, messagesPerSecond: maxMessagesPerSecond)
  }

  /// Who may send less would wait for seconds after one large read.
  fileprivate func checkRates() throws(RuntimeError) {
    for (name, rate, least) in [
      ("maxBytesPerSecond", maxBytesPerSecond, max(1 << 20, minimumBytesPerSecond)),
      ("maxMessagesPerSecond", maxMessagesPerSecond, 1000),
    ] {
      if let rate, rate < least {
        throw RuntimeError(
          .invalidConfiguration, "\(name) is \(rate), and must be at least \(least).")
      }
    }
  }

  /// Refuses to let in whoever comes, from wherever.
  fileprivate func check(_ address: SocketAddress) throws(RuntimeError) {
    guard !insecure, !address.isLoopback else { return }
    if let tls, token != nil || tls.trustRootsFile != nil { return }
    throw RuntimeError(
      .invalidConfiguration,
      """
      \(address.ipAddress ?? "This address") can be reached from other machines, and anyone there \
      could have code run here. Choose one: certificates on both sides, with the roots that have signed clients'; a token \
      within TLS; the loopback address 127.0.0.1; or insecure, where nobody else is on the network.
      """)
  }
}
