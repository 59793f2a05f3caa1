import ByzRuntime

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// An address to connect to or listen at, looked up.
struct UCXAddress: Sendable, CustomStringConvertible {
  /// `ucx://host:port`.
  let description: String
  private let bytes: [UInt8]

  /// Looks up `host:port`, where an IPv6 address stands in brackets. Blocks while a name server is asked.
  ///
  /// - Throws: ``RuntimeError/Code/transportUnavailable`` when there is no such host, or it is not written like this.
  init(_ name: String) throws(RuntimeError) {
    guard let colon = name.lastIndex(of: ":"), let port = UInt16(name[name.index(after: colon)...])
    else {
      throw RuntimeError(.transportUnavailable, "\"\(name)\" is not host:port.")
    }
    var host = name[..<colon]
    if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICSERV
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
        .transportUnavailable, "\(host) has no address: \(String(cString: gai_strerror(status))).")
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
    let isV6 = Int32(storage.ss_family) == AF_INET6
    let count = isV6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
    bytes = withUnsafeBytes(of: storage) { Array($0.prefix(count)) }
    let offset = isV6 ? 8 : 4  // of the address in its structure
    var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
    _ = bytes.withUnsafeBytes {
      inet_ntop(
        Int32(storage.ss_family), $0.baseAddress! + offset, &text, socklen_t(text.count))
    }
    let host = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    let port = UInt16(bytes[2]) << 8 | UInt16(bytes[3])
    description = "ucx://\(isV6 ? "[\(host)]" : host):\(port)"
  }

  /// Whether it leads to this machine only.
  var isLoopback: Bool {
    switch family {
    case AF_INET: bytes[4] == 127
    case AF_INET6: bytes[8..<24].elementsEqual(repeatElement(0, count: 15) + [1])
    default: false
    }
  }

  /// Whom limits per address count as one: an IPv4 address, or the 64 bits of an IPv6 network, since whoever has one of its
  /// addresses has them all.
  var party: [UInt8] {
    switch family {
    case AF_INET: Array(bytes[4..<8])
    case AF_INET6: isMappedIPv4 ? Array(bytes[20..<24]) : Array(bytes[8..<16])
    default: []
    }
  }

  private var isMappedIPv4: Bool {
    bytes[8..<20].elementsEqual([UInt8](repeating: 0, count: 10) + [0xFF, 0xFF])
  }

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

  private var family: Int32 {
    withSocketAddress { address, _ in Int32(address.pointee.sa_family) }
  }
}
