package import ArgumentParser
import ByzAuthentication
package import ByzLaunch
package import ByzTCP
import ByzUCX

/// How to reach workers on other machines. Secrets are read from files, never from the command
/// line, which others can read.
package struct ConnectionFlags: ParsableArguments {
  @Option(
    help: "A file with the workers' token. (default: the variable BYZKIT_TOKEN, if it is set)")
  package var tokenFile: String?
  @Option(
    help: "A PEM file with the roots that have signed the workers' certificates; turns TLS on.")
  package var tlsRoots: String?
  @Option(help: "A PEM file with this side's certificate, where workers ask for one.")
  package var tlsCertificate: String?
  @Option(help: "A PEM file with the key of this certificate.") package var tlsKey: String?
  @Option(help: "The name in the workers' certificates, where it is not their host's.")
  package var tlsName: String?
  @Flag(help: "Allow connections to other machines without TLS; over UCX there is no other.")
  package var insecure = false
  @Flag(help: "Refuse who would compute other bits than this program.")
  package var requireSameBits = false

  package init() {}

  /// How to connect.
  package func options() throws -> BackendOptions {
    let token = try token
    var options = BackendOptions()
    options.tcp = TCPOptions(tls: tls, token: token)
    options.tcp.insecure = insecure
    options.tcp.requiresSameBits = requireSameBits
    options.ucx = UCXOptions(token: token, trustedFabric: insecure)
    options.ucx.requiresSameBits = requireSameBits
    return options
  }

  package func validate() throws {
    guard (tlsCertificate == nil) == (tlsKey == nil) else {
      throw ValidationError("--tls-certificate and --tls-key belong together.")
    }
  }

  /// - Throws: `UsageError` for a flag that is of no use with workers at these places.
  package func check(_ places: [BackendSpecification]) throws {
    guard places.contains(where: \.isElsewhere) else {
      let flag =
        flagOfTLS ?? (tokenFile.map { _ in "--token-file" })
        ?? (insecure ? "--insecure" : requireSameBits ? "--require-same-bits" : nil)
      guard let flag else { return }
      throw UsageError("\(flag) is for workers on other machines, and none is named.")
    }
    let isOverTCP = places.contains { if case .tcp = $0.place { true } else { false } }
    if let flagOfTLS, !isOverTCP {
      throw Self.noTLS(flagOfTLS)
    }
  }

  /// How to listen.
  package func listenerOptions() throws -> TCPListenerOptions {
    var options = TCPListenerOptions(tls: tls, token: try token)
    options.insecure = insecure
    return options
  }

  /// How to listen over UCX, as how to connect.
  ///
  /// - Throws: `UsageError` for a flag of TLS.
  package func ucxOptions() throws -> UCXOptions {
    if let flag = flagOfTLS { throw Self.noTLS(flag) }
    return try options().ucx
  }

  private var flagOfTLS: String? {
    let flags: KeyValuePairs = [
      "--tls-roots": tlsRoots, "--tls-certificate": tlsCertificate, "--tls-key": tlsKey,
      "--tls-name": tlsName,
    ]
    return flags.first { $0.value != nil }?.key
  }

  private static func noTLS(_ flag: String) -> UsageError {
    UsageError("\(flag) is for workers that listen over TCP: UCX has no TLS.")
  }

  private var token: Token? {
    get throws { try tokenFile.map { try Token(contentsOfFile: $0) } ?? Token.inEnvironment() }
  }

  private var tls: TLSOptions? {
    guard [tlsRoots, tlsCertificate, tlsKey, tlsName].contains(where: { $0 != nil }) else {
      return nil
    }
    return TLSOptions(
      certificateChainFile: tlsCertificate, privateKeyFile: tlsKey, trustRootsFile: tlsRoots,
      serverName: tlsName)
  }
}
