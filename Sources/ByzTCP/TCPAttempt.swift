import ByzRuntime
import NIOCore
import NIOPosix
import NIOSSL

/// One attempt to connect.
package struct TCPAttempt: Sendable {
  let address: TCPAddress
  let options: TCPOptions
  let context: NIOSSLContext?
  /// Who finds a host's addresses; nil for the system.
  private let resolver: (any Resolver & Sendable)?

  private let progress = Monitor(Progress())
  /// The channel that was connected first.
  private let connected = Promise<any Channel>()

  private struct Progress: Sendable {
    /// What the attempt has opened, more than one while a host's addresses are tried side by side, so
    /// that cancellation can end them.
    var opened: [(channel: any Channel, ready: EventLoopFuture<TCPLink>)] = []
    /// Whether what is opened from now on is to be closed at once.
    var isOver = false
  }

  package init(
    address: TCPAddress, options: TCPOptions, context: NIOSSLContext?,
    resolver: (any Resolver & Sendable)? = nil
  ) {
    self.address = address
    self.options = options
    self.context = context
    self.resolver = resolver
  }

  /// - Throws: `ConnectFailure`; `CancellationError`.
  package func run() async throws -> TCPLink {
    do {
      return try await withTaskCancellationHandler {
        try await connect()
      } onCancel: {
        closeAll()
      }
    } catch {
      closeAll()
      try Task.checkCancellation()
      throw ConnectFailure(error, address: address, timeout: options.connectTimeout)
    }
  }

  private func closeAll() {
    let opened = progress.withLock { progress in
      progress.isOver = true
      return progress.opened
    }
    for one in opened { one.channel.close(promise: nil) }
    // Nothing may have been opened yet: then its address is being looked up, which nobody can end.
    connected.settle(.failure(CancellationError()))
  }

  private func connect() async throws -> TCPLink {
    try Task.checkCancellation()
    let settings = LinkSettings(
      isTLS: context != nil, limits: options.limits, readyTimeout: options.connectTimeout)
    var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .resolver(resolver)
      .connectTimeout(options.connectTimeout.timeAmount)
      .channelOption(.recvAllocator, value: LinkSettings.reads)
      .channelOption(.writeBufferWaterMark, value: LinkSettings.unsent)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          if let context {
            try channel.pipeline.syncOperations.addHandler(
              NIOSSLClientHandler(context: context, serverHostname: serverName))
          }
          let ready = try LinkHandler.install(in: channel, settings: settings)
          let isOver = progress.withLock { progress in
            progress.opened.append((channel, ready))
            return progress.isOver
          }
          if isOver { throw CancellationError() }
        }
      }
    for (option, value) in LinkSettings.socketOptions {
      bootstrap = bootstrap.channelOption(option, value: value)
    }
    bootstrap.connect(host: address.host, port: address.port).whenComplete { connected.settle($0) }
    let channel = try await connected.result.get()
    try check(channel)
    // The one of those that were tried; there is no other.
    let opened = progress.withLock { $0.opened.first { $0.channel === channel } }
    guard let link = try await opened?.ready.get() else { throw ChannelError.eof }
    try Task.checkCancellation()
    return link
  }

  /// What to expect in the certificate: a name, or nil for the address that was connected to.
  private var serverName: String? {
    if let name = options.tls?.serverName { return name }
    return (try? SocketAddress(ipAddress: address.host, port: address.port)) == nil
      ? address.host : nil
  }

  /// Refuses to talk to another machine without encryption, before anything has been said.
  private func check(_ channel: any Channel) throws(RuntimeError) {
    guard context == nil, !options.insecure, let remote = channel.remoteAddress, !remote.isLoopback
    else { return }
    throw RuntimeError(
      .invalidConfiguration,
      """
      tcp://\(address) is another machine, and the connection would not be encrypted: give \
      the roots that have signed its certificate (TCPOptions.tls), or allow it (TCPOptions.insecure) where nobody else is on the \
      network.
      """
    )
  }
}
