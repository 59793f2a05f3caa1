import ByzRuntime
import NIOCore
import NIOPosix
import NIOSSL

/// One attempt to connect.
struct TCPAttempt: Sendable {
  let address: TCPAddress
  let options: TCPOptions
  let context: NIOSSLContext?

  /// The channels of the attempt, more than one while a host's addresses are tried side by side, so
  /// that cancellation can end them.
  private let channels = Monitor<[any Channel]>([])

  init(address: TCPAddress, options: TCPOptions, context: NIOSSLContext?) {
    self.address = address
    self.options = options
    self.context = context
  }

  /// - Throws: `ConnectFailure`; `CancellationError`.
  func run() async throws -> TCPLink {
    do {
      return try await withTaskCancellationHandler {
        try await connect()
      } onCancel: {
        for channel in channels.withLock({ $0 }) { channel.close(promise: nil) }
      }
    } catch {
      for channel in channels.withLock({ $0 }) { channel.close(promise: nil) }
      try Task.checkCancellation()
      throw ConnectFailure(error, address: address, timeout: options.connectTimeout)
    }
  }

  private func connect() async throws -> TCPLink {
    try Task.checkCancellation()
    let settings = LinkSettings(
      isTLS: context != nil, limits: options.limits, readyTimeout: options.connectTimeout)
    var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .connectTimeout(options.connectTimeout.timeAmount)
      .channelOption(.recvAllocator, value: LinkSettings.reads)
      .channelOption(.writeBufferWaterMark, value: LinkSettings.unsent)
      .channelInitializer { channel in
        channels.withLock { $0.append(channel) }
        return channel.eventLoop.makeCompletedFuture {
          if let context {
            try channel.pipeline.syncOperations.addHandler(
              NIOSSLClientHandler(context: context, serverHostname: serverName))
          }
          try channel.pipeline.syncOperations.addHandler(
            LinkHandler(settings: settings, eventLoop: channel.eventLoop))
        }
      }
    for (option, value) in LinkSettings.socketOptions {
      bootstrap = bootstrap.channelOption(option, value: value)
    }
    let channel = try await bootstrap.connect(host: address.host, port: address.port).get()
    try check(channel)
    let link = try await channel.eventLoop.flatSubmit {
      channel.eventLoop.makeCompletedFuture {
        try channel.pipeline.syncOperations.handler(type: LinkHandler.self).ready.futureResult
      }.flatMap { $0 }
    }.get()
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
      TCPOptions.tls, or set TCPOptions.insecure where nobody else is on the network.
      """
    )
  }
}
