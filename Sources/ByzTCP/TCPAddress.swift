public import ByzRuntime
import NIOCore

/// A host and a port: `worker-3:29000`, `10.0.0.7:29000`, `[2001:db8::7]:29000`.
public struct TCPAddress: Hashable, Sendable {
  /// A name or an IP address, without brackets.
  public let host: String
  /// 0 to 65,535; 0, for listening only, leaves the choice to the system.
  public let port: Int

  /// The loopback interface, and a port that the system chooses.
  public static let loopback = TCPAddress(checkedHost: "127.0.0.1", port: 0)

  init(checkedHost host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Reads `host:port`, with or without `tcp://` before it. An IPv6 address stands in brackets.
  ///
  /// - Throws: `RuntimeError.Code.invalidConfiguration` with the text and the right form.
  public init(_ text: String) throws(RuntimeError) {
    func refusal(_ reason: String) -> RuntimeError {
      RuntimeError(
        .invalidConfiguration,
        """
        "\(text)" is no address: \(reason). The form is host:port or tcp://host:port, such as \
        worker-3:29000 or [::1]:29000.
        """
      )
    }
    let rest = text.hasPrefix("tcp://") ? text.dropFirst("tcp://".count) : text[...]
    guard let colon = rest.lastIndex(of: ":") else { throw refusal("it has no port") }
    let digits = rest[rest.index(after: colon)...]
    var name = rest[..<colon]

    guard !digits.isEmpty else { throw refusal("the port is empty") }
    // Int(_:) alone would take a sign.
    guard digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
      let port = Int(digits), port <= UInt16.max
    else { throw refusal("the port \"\(digits)\" is no number from 0 to 65535") }

    if name.hasPrefix("["), name.hasSuffix("]") {
      name = name.dropFirst().dropLast()
      guard let address = try? SocketAddress(ipAddress: String(name), port: port),
        case .v6 = address
      else { throw refusal("what stands in brackets is no IPv6 address") }
    } else {
      guard !name.isEmpty else { throw refusal("the host is empty") }
      guard !name.contains(":") else { throw refusal("an IPv6 address belongs in brackets") }
      guard name.utf8.allSatisfy(TCPAddress.isAllowedInName) else {
        throw refusal("the host may have letters, digits, \".\", \"-\" and \"_\"")
      }
    }
    self.init(checkedHost: String(name), port: port)
  }

  private static func isAllowedInName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }
  }
}

extension TCPAddress: CustomStringConvertible {
  /// `host:port`, which reads back as the same address.
  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension TCPAddress {
  /// The address of a socket; nil for one that has no host and port.
  init?(_ address: SocketAddress?) {
    guard let address, let host = address.ipAddress, let port = address.port else { return nil }
    self.init(checkedHost: host, port: port)
  }
}

extension SocketAddress {
  /// Whether nothing but this machine can be at the other end.
  var isLoopback: Bool {
    switch self {
    case .v4: networkBytes.first == 127
    case .v6:
      networkBytes == [UInt8](repeating: 0, count: 15) + [1]
        || isMappedIPv4 && networkBytes[12] == 127
    case .unixDomainSocket: true
    }
  }

  /// Whom limits per address count as one: an IPv4 address, or the 64 bits of an IPv6 network,
  /// since whoever has one of its addresses has them all.
  var party: [UInt8] {
    switch self {
    case .v4: networkBytes
    case .v6: isMappedIPv4 ? Array(networkBytes[12...]) : Array(networkBytes[..<8])
    case .unixDomainSocket: []
    }
  }

  private var isMappedIPv4: Bool {
    networkBytes.count == 16
      && networkBytes.starts(with: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF])
  }

  /// The IP address as it travels: behind family and port in an IPv4 socket address, and behind the
  /// flow label too in an IPv6 one.
  private var networkBytes: [UInt8] {
    let range: Range<Int>
    switch self {
    case .v4: range = 4..<8
    case .v6: range = 8..<24
    case .unixDomainSocket: return []
    }
    return withSockAddr { address, size in
      Array(UnsafeRawBufferPointer(start: address, count: size)[range])
    }
  }
}
