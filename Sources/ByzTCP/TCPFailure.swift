import ByzRuntime
import NIOCore
import NIOPosix
import NIOSSL

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Why an attempt to connect failed.
struct ConnectFailure: Error {
  let error: RuntimeError
  /// Whether another attempt may end otherwise.
  let mayPass: Bool

  /// What a library's error means for the connection to an address, with what to do about it.
  init(_ error: any Error, address: TCPAddress, timeout: Duration) {
    let cause = ConnectFailure.first(error)
    func failure(
      _ code: RuntimeError.Code, mayPass: Bool = true, _ reason: String
    ) -> (RuntimeError, Bool) {
      (RuntimeError(code, "tcp://\(address): \(reason)", cause: cause), mayPass)
    }
    let (error, mayPass) =
      switch (cause, (cause as? IOError)?.errnoCode) {
      case (let error as RuntimeError, _): (error, false)
      case (_, ECONNREFUSED?):
        failure(
          .workerStartFailed,
          """
          connection refused. Start a worker there that listens on port \(address.port), and check \
          its address: by default it listens on loopback only.
          """
        )
      case (_, EHOSTUNREACH?), (_, ENETUNREACH?):
        failure(.workerStartFailed, "no way to this host. Check the network and the address.")
      case (ChannelError.connectTimeout?, _), (_, ETIMEDOUT?):
        failure(
          .workerStartFailed,
          """
          no answer within \(timeout). A firewall may drop the packets, or the network is slow: \
          raise TCPOptions.connectTimeout.
          """
        )
      case (is SocketAddressError, _), (is SocketAddressError.UnknownHost, _):
        failure(
          .transportUnavailable,
          "the host is not known. Check its spelling and this machine's name service."
        )
      default:
        if let reason = tlsAdvice(cause) {
          failure(.authenticationFailed, mayPass: false, reason)
        } else {
          failure(.workerStartFailed, "the connection failed.")
        }
      }
    self.error = error
    self.mayPass = mayPass
  }

  /// Of all that failed for the addresses of a host, what happened to the first; else why it has no
  /// address.
  private static func first(_ error: any Error) -> (any Error)? {
    guard let error = error as? NIOConnectionError else { return error }
    return error.connectionErrors.first?.error ?? error.dnsAError ?? error.dnsAAAAError ?? error
  }
}

/// Why a connection that stood has ended; nil when the other side just closed it.
func failure(of peerName: String, _ error: any Error) -> RuntimeError? {
  if case NIOSSLError.uncleanShutdown = error { return nil }
  if let advice = tlsAdvice(error) {
    return RuntimeError(.authenticationFailed, "\(peerName): \(advice)", cause: error)
  }
  return RuntimeError(.workerLost, "The connection to \(peerName) broke.", cause: error)
}

/// What an error of TLS means; nil for other errors.
private func tlsAdvice(_ error: (any Error)?) -> String? {
  guard let error, error is NIOSSLError || error is NIOSSLExtraError || error is BoringSSLError
  else { return nil }
  let text = String(describing: error)
  let known = [
    (
      "CERTIFICATE_VERIFY_FAILED",
      """
      its certificate is not accepted: it must be valid today and signed by a root of \
      TLSOptions.trustRootsFile
      """
    ),
    (
      "ALERT_UNKNOWN_CA",
      "it does not accept this side's certificate: its trust roots have not signed it"
    ),
    (
      "ALERT_CERTIFICATE_REQUIRED",
      "it wants a certificate: give TLSOptions.certificateChainFile and privateKeyFile"
    ),
    ("ALERT_CERTIFICATE_EXPIRED", "this side's certificate has expired: make a new one"),
    (
      "ALERT_UNSUPPORTED_CERTIFICATE",
      "this side's certificate is not for clients: its extendedKeyUsage must name clientAuth"
    ),
    ("ALERT_", "it refused the TLS handshake"),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "it has no certificate, and this side asks for one"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS: give both sides TLS options, or none"),
    ("InSNI", "TLSOptions.serverName must be a name, not an address"),
    ("ostname", "its certificate is for another name: set TLSOptions.serverName to that name"),
    (
      "eofDuringHandshake",
      "it closed the connection during the TLS handshake: it may not speak TLS"
    ),
    (
      "EOF during handshake",
      "it closed the connection during the TLS handshake: it may not speak TLS"
    ),
  ]
  let advice = known.first { text.contains($0.0) }?.1 ?? "TLS failed"
  return "TLS: \(advice)."
}
