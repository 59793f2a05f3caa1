import ByzRuntime
import NIOCore
import NIOSSL

/// Certificates, as files in PEM format. They are read when a connection is made or a listener
/// starts, so new ones count from then on.
///
/// TLS 1.3, always with the certificate of the listening side checked by the connecting side.
public struct TLSOptions: Hashable, Sendable {
  /// This side's certificate and those that lead to its root. A listener needs it; a client when
  /// the listener asks for it.
  public var certificateChainFile: String?
  /// The private key of the certificate.
  public var privateKeyFile: String?
  /// The roots that must have signed the other side's certificate. Nil: for a client those of the
  /// system, for a listener that clients need no certificate.
  public var trustRootsFile: String?
  /// The name in the listener's certificate, where it is not the host that one connects to. A
  /// certificate for the listener's IP address will do as well.
  public var serverName: String?

  /// Certificate, key and roots; see the properties for which side needs what.
  public init(
    certificateChainFile: String? = nil, privateKeyFile: String? = nil,
    trustRootsFile: String? = nil, serverName: String? = nil
  ) {
    self.certificateChainFile = certificateChainFile
    self.privateKeyFile = privateKeyFile
    self.trustRootsFile = trustRootsFile
    self.serverName = serverName
  }
}

extension TLSOptions {
  /// What a client needs to know.
  func clientContext() throws(RuntimeError) -> NIOSSLContext {
    var configuration = TLSConfiguration.makeClientConfiguration()
    if let identity = try identity() {
      configuration.certificateChain = identity.chain
      configuration.privateKey = identity.key
    }
    if let roots = try roots() { configuration.trustRoots = roots }
    return try context(configuration)
  }

  /// What a listener needs to know.
  func serverContext() throws(RuntimeError) -> NIOSSLContext {
    guard let identity = try identity() else {
      throw RuntimeError(
        .invalidConfiguration,
        """
        A listener with TLS needs a certificate: give TLSOptions.certificateChainFile and \
        privateKeyFile.
        """
      )
    }
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: identity.chain, privateKey: identity.key)
    if let roots = try roots() {
      configuration.trustRoots = roots
      // Clients have no host name to check.
      configuration.certificateVerification = .noHostnameVerification
    }
    return try context(configuration)
  }

  private func context(_ configuration: TLSConfiguration) throws(RuntimeError) -> NIOSSLContext {
    var configuration = configuration
    configuration.minimumTLSVersion = .tlsv13
    configuration.shutdownTimeout = .seconds(1)
    return try loading("The TLS configuration") { try NIOSSLContext(configuration: configuration) }
  }

  private func identity() throws(RuntimeError) -> (
    chain: [NIOSSLCertificateSource], key: NIOSSLPrivateKeySource
  )? {
    switch (certificateChainFile, privateKeyFile) {
    case (nil, nil): return nil
    case (let chain?, let key?):
      let certificates = try loading("The certificate chain \(chain)") {
        try NIOSSLCertificate.fromPEMFile(chain)
      }
      let privateKey = try loading("The private key \(key)") {
        try NIOSSLPrivateKey(file: key, format: .pem)
      }
      return (certificates.map { .certificate($0) }, .privateKey(privateKey))
    default:
      throw RuntimeError(
        .invalidConfiguration,
        "TLSOptions has only one of certificateChainFile and privateKeyFile; it takes both or none."
      )
    }
  }

  private func roots() throws(RuntimeError) -> NIOSSLTrustRoots? {
    guard let file = trustRootsFile else { return nil }
    return .certificates(
      try loading("The file of trust roots \(file)") { try NIOSSLCertificate.fromPEMFile(file) })
  }

  private func loading<R>(_ what: String, _ body: () throws -> R) throws(RuntimeError) -> R {
    do {
      return try body()
    } catch {
      throw RuntimeError(.invalidConfiguration, "\(what) cannot be used: \(error).", cause: error)
    }
  }
}
