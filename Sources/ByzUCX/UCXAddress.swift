import ByzRuntime

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An address to connect to or listen at, looked up.
///
/// Of IPv4 only: over IPv6 UCX 1.13 connects nobody on TCP, and ends a listener's process that somebody tries to reach.
struct UCXAddress: Sendable, CustomStringConvertible {
  /// `ucx://host:port`.
  let description: String
  private let bytes: [UInt8]

  /// Looks up `host:port`. Blocks while a name server is asked.
  ///
  /// - Throws: ``RuntimeError/Code/transportUnavailable`` when there is no such host, or it is not written like this.
  init(_ name: String) throws(RuntimeError) {
    guard let colon = name.lastIndex(of: ":"), let port = UInt16(name[name.index(after: colon)...])
    else {
      throw RuntimeError(.transportUnavailable, "\"\(name)\" is not host:port.")
    }
    let host = name[..<colon]
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICSERV
    hints.ai_family = AF_INET
    #if canImport(Darwin)
      hints.ai_socktype = SOCK_STREAM
    #else
      hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
    #endif
    var found: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(String(host), String(port), &hints, &found)
    defer { if let found { freeaddrinfo(found) } }
    guard status == 0, let first = found?.pointee, let address = first.ai_addr else {
      throw RuntimeError(
        .transportUnavailable,
        "\(host) has no address of IPv4, which UCX needs: \(String(cString: gai_strerror(status)))."
      )
    }
    bytes = Array(UnsafeRawBufferPointer(start: address, count: Int(first.ai_addrlen)))
    description = "ucx://\(name)"
  }

  /// Looks a name up on a thread of its own, which goes on when nobody waits any more: name servers take as long as they like.
  ///
  /// - Throws: ``RuntimeError/Code/transportUnavailable`` for a name without an address,
  ///   ``RuntimeError/Code/workerStartFailed`` when it is not found in time; `CancellationError`.
  static func lookingUp(_ name: String, within limit: Duration) async throws -> UCXAddress {
    let promise = Promise<UCXAddress>()
    try startUCXThread { promise.settle(Result { try UCXAddress(name) }) }
    do {
      return try await withDeadline(limit) {
        try await withTaskCancellationHandler {
          try await promise.result.get()
        } onCancel: {
          promise.settle(.failure(CancellationError()))
        }
      }
    } catch let error as RuntimeError where error.code == .deadlineExceeded {
      throw RuntimeError(
        .workerStartFailed, "The address of \(name) was not found within \(limit).", cause: error)
    }
  }

  /// The address in a structure that a library filled.
  init(_ storage: sockaddr_storage) {
    bytes = withUnsafeBytes(of: storage) { Array($0.prefix(MemoryLayout<sockaddr_in>.size)) }
    let host = bytes[4..<8].map(String.init).joined(separator: ".")
    description = "ucx://\(host):\(UInt16(bytes[2]) << 8 | UInt16(bytes[3]))"
  }

  /// Whether it leads to this machine only.
  var isLoopback: Bool { bytes[4] == 127 }

  /// Whom limits per address count as one.
  var party: [UInt8] { Array(bytes[4..<8]) }

  /// The port, in the machine's byte order.
  var port: Int { Int(bytes[2]) << 8 | Int(bytes[3]) }

  /// The address as the system's functions take it, while `body` runs.
  func withSocketAddress<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
    var storage = sockaddr_storage()
    withUnsafeMutableBytes(of: &storage) { $0.copyBytes(from: bytes) }
    return withUnsafePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(bytes.count)) }
    }
  }
}
