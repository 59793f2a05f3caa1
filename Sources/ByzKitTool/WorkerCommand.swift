import ArgumentParser
import ByzAuthentication
import ByzKit
import ByzLaunch
import ByzTCP
import ByzUCX
import CoreMetrics
import Foundation
import Logging

struct WorkerCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker",
    abstract: "Host workers for programs on other machines.",
    discussion: """
      Serves the library's rules, attacks and nodes to whoever connects with tcp://HOST:PORT or ucx://HOST:PORT. On other than \
      loopback addresses clients must have a token within TLS, or certificates that --tls-roots has signed.

        umask 077; openssl rand -hex 32 > token
        byzkit worker --listen 0.0.0.0:29000 --token-file token --tls-certificate worker.pem --tls-key worker.key

      The token comes from the file or from BYZKIT_TOKEN, never from an argument, which others on the machine can read. Prints one \
      line of JSON when it listens and one when it ends; logs go to standard error. SIGTERM and SIGINT let running calls finish; \
      a second signal does not wait.
      """)

  @Option(help: "Where to listen; port 0 for one that is free.") var listen =
    "127.0.0.1:\(LaunchEnvironment.defaultPort)"
  @Flag(help: "Listen over UCX instead of TCP.") var ucx = false
  @Option(help: "This side's certificate chain, a PEM file.") var tlsCertificate: String?
  @Option(help: "The private key of the certificate, a PEM file.") var tlsKey: String?
  @Option(help: "The roots that must have signed clients' certificates, a PEM file.")
  var tlsRoots: String?
  @Option(
    help: """
      The roots that have signed the certificates of workers on other hosts, a PEM file: workers of one client send each other mail \
      directly. (default: --tls-roots)
      """)
  var siblingRoots: String?
  @Option(help: "The file with the token, which only its owner may read.") var tokenFile: String?
  @Flag(
    help: """
      Listen on other than loopback addresses without TLS, for strangers too; with --ucx, trust the fabric, which UCX needs there.
      """)
  var insecure = false
  @Flag(help: "Refuse clients that would compute other bits.") var requireSameBits = false
  @Option(help: "The most connections at a time.") var maxConnections: Int?
  @Option(
    help: """
      The most connections in one second from one address; more are closed unanswered. (default: 128; with --ucx 256)
      """)
  var maxAcceptsPerSecond: Int?
  @Option(
    help: ArgumentHelp(
      "The most that one message may bring, tensors included. (default: 2048)", valueName: "MiB"))
  var maxMessage: Int?
  @Option(
    help: "The most calls of one connection that are carried out at a time. (default: 4096)")
  var maxCalls: Int?
  @Option(
    help: ArgumentHelp(
      "The most that one connection may bring in a second; who sends more waits. (default: no limit)",
      valueName: "MiB"))
  var maxRate: Int?
  @Option(
    help: """
      The most messages that one connection may bring in a second; who sends more waits. (default: no limit)
      """)
  var maxMessagesPerSecond: Int?
  @Option(
    help: """
      A file for counters of connections, calls and bytes: one object of JSON, written anew each second in which they change, and at \
      the end.
      """)
  var metricsFile: String?
  @Option(help: "How many seconds running calls may take after the first signal.")
  var drainSeconds = 20
  @Option(
    help:
      "What to log: \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")).",
    transform: Self.logLevel)
  var logLevel = Logger.Level.notice

  private static func logLevel(_ text: String) throws -> Logger.Level {
    guard let level = Logger.Level(rawValue: text) else {
      throw ValidationError("'\(text)' is no log level.")
    }
    return level
  }

  func validate() throws {
    if ucx, tlsCertificate ?? tlsKey ?? tlsRoots ?? siblingRoots != nil {
      throw ValidationError(
        "UCX has no TLS: --ucx and --tls-… or --sibling-roots exclude each other.")
    }
    guard (tlsCertificate == nil) == (tlsKey == nil) else {
      throw ValidationError("--tls-certificate and --tls-key belong together.")
    }
    guard tlsCertificate != nil || (tlsRoots == nil && siblingRoots == nil) else {
      throw ValidationError(
        "--tls-roots and --sibling-roots are for workers with certificates: give --tls-certificate and --tls-key, too."
      )
    }
    if let maxConnections, maxConnections < 1 {
      throw ValidationError("--max-connections is \(maxConnections), and must be at least 1.")
    }
    if let maxAcceptsPerSecond, maxAcceptsPerSecond < 1 {
      throw ValidationError(
        "--max-accepts-per-second is \(maxAcceptsPerSecond), and must be at least 1.")
    }
    if let maxMessage, !(1...1_048_576).contains(maxMessage) {
      throw ValidationError("--max-message is \(maxMessage), and must be from 1 to 1048576 MiB.")
    }
    // Beside what a pool has a worker do, it asks whether that is over.
    if let maxCalls, maxCalls < 2 {
      throw ValidationError("--max-calls is \(maxCalls), and must be at least 2.")
    }
    if let maxRate, !(1...1_048_576).contains(maxRate) {
      throw ValidationError("--max-rate is \(maxRate), and must be from 1 to 1048576 MiB.")
    }
    if let maxMessagesPerSecond, maxMessagesPerSecond < 1000 {
      throw ValidationError(
        "--max-messages-per-second is \(maxMessagesPerSecond), and must be at least 1000.")
    }
    if ucx, maxRate ?? maxMessagesPerSecond != nil {
      throw ValidationError(
        "UCX takes what comes: --ucx and --max-rate or --max-messages-per-second exclude each other."
      )
    }
    guard (0...86_400).contains(drainSeconds) else {
      throw ValidationError("--drain-seconds is \(drainSeconds), and must be from 0 to 86400.")
    }
  }

  func run() async throws {
    let address = try TCPAddress(listen)
    let token = try tokenFile.map { try Token(contentsOfFile: $0) } ?? Token.inEnvironment()
    let signals = EndingSignals(limit: .seconds(drainSeconds))
    if ucx {
      var listener = UCXOptions(token: token, trustedFabric: insecure)
      listener.limits = limits
      if let maxConnections {
        listener.maximumConnections = maxConnections
        listener.maximumConnectionsPerAddress = maxConnections
      }
      if let maxAcceptsPerSecond {
        listener.maximumAcceptsPerSecondPerAddress = maxAcceptsPerSecond
      }
      try await host(signals) { options, body in
        try await withUCXWorkerServer(
          on: "\(address)", registry: .byzKit, listener: listener, options: options, body: body)
      }
    } else {
      var listener = TCPListenerOptions(tls: tls, token: token)
      listener.insecure = insecure
      listener.limits = limits
      if let siblingRoots {
        var siblings = listener.connectingToSiblings
        siblings.tls?.trustRootsFile = siblingRoots
        listener.siblings = siblings
      }
      if let maxConnections {
        listener.maxConnections = maxConnections
        listener.maxConnectionsPerAddress = maxConnections
      }
      if let maxAcceptsPerSecond { listener.maxAcceptsPerSecondPerAddress = maxAcceptsPerSecond }
      listener.maxBytesPerSecond = maxRate.map { $0 << 20 }
      listener.maxMessagesPerSecond = maxMessagesPerSecond
      try await host(signals) { options, body in
        try await withWorkerServer(
          on: address, registry: .byzKit, listener: listener, options: options, body: body)
      }
    }
  }

  private var tls: TLSOptions? {
    guard tlsCertificate != nil else { return nil }
    return TLSOptions(
      certificateChainFile: tlsCertificate, privateKeyFile: tlsKey, trustRootsFile: tlsRoots)
  }

  private var limits: WireLimits {
    var limits = WireLimits()
    if let maxMessage { limits.message = maxMessage << 20 }
    if let maxCalls { limits.calls = maxCalls }
    return limits
  }

  private func host(
    _ signals: EndingSignals,
    _ serve: (WorkerServerOptions, (WorkerServer) async throws -> WorkerServer) async throws ->
      WorkerServer
  ) async throws {
    var options = WorkerServerOptions()
    options.requiresSameBits = requireSameBits
    options.drainLimit = .seconds(drainSeconds)
    let file = metricsFile.map { MetricsFile(path: $0) }
    options.observer = observer(file)
    // Before anybody is served: here a file that cannot be written is no reason to go on.
    try file?.write()
    let unwritten = { @Sendable [logger = self.logger] (error: any Error) in
      logger.error("the metrics were not written", metadata: ["reason": "\(error)"])
    }
    let writing = file?.writeEachSecond(failed: unwritten)
    defer { writing?.cancel() }
    let server = try await serve(options) { server in
      try printLine(
        Status(
          listening: server.address, pid: ProcessInfo.processInfo.processIdentifier,
          version: toolVersion, kernels: KernelVariant.selected.rawValue,
          blas: BLAS.coreName ?? ""))
      await signals.first()
      return server
    }
    do { try file?.write() } catch { unwritten(error) }
    try printLine(End(ended: server.address, totals: server.totals))
  }

  private var logger: Logger {
    var logger = Logger(label: "byzkit.worker") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = logLevel
    return logger
  }

  private func observer(_ file: MetricsFile?) -> @Sendable (WorkerServerEvent) -> Void {
    let metrics = file.map { WorkerMetrics(factory: $0) } ?? WorkerMetrics()
    return { [logger = self.logger] event in
      metrics.record(event)
      switch event {
      case .connected(let peer): logger.info("connected", metadata: ["peer": "\(peer)"])
      case .ended(let peer, let reason):
        let isUsual = reason.code == .stopped || reason.code == .workerLost
        logger.log(
          level: isUsual ? .info : .warning, "ended",
          metadata: ["peer": "\(peer)", "reason": "\(reason)"])
      case .received(let byteCount, let isCall):
        logger.trace("received", metadata: ["bytes": "\(byteCount)", "call": "\(isCall)"])
      case .sent(let byteCount): logger.trace("sent", metadata: ["bytes": "\(byteCount)"])
      }
    }
  }

  private struct Status: Encodable {
    let listening: String
    let pid: Int32
    let version: String
    let kernels: String
    let blas: String
  }

  private struct End: Encodable {
    let ended: String
    let totals: WorkerServerTotals
  }

  private func printLine(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    try printOut(String(decoding: try encoder.encode(value), as: UTF8.self))
  }
}
