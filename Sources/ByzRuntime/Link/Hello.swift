/// What each side of a connection says first about itself.
package struct Hello: Hashable, Codable, Sendable {
  /// Names the process among all, for as long as it runs; never 0, the name of nobody.
  package var host: UInt64
  /// What a person would call it: host name and process number.
  package var name: String
  /// The types it can make, and the version of each.
  package var types: [String: Int]
  /// The kernel variant in use.
  package var kernels: String
  /// The BLAS in use, its version and its core; empty without one.
  package var blas: String
  /// Whether it insists on the other side's computing the same bits.
  package var requiresSameBits: Bool
  /// The most bytes that a message to it may have: ``WireLimits/message`` of its end of the connection.
  package var longestMessage: Int

  package init(
    host: UInt64, name: String, types: [String: Int], kernels: String, blas: String,
    requiresSameBits: Bool
  ) {
    self.host = host
    self.name = name
    self.types = types
    self.kernels = kernels
    self.blas = blas
    self.requiresSameBits = requiresSameBits
    longestMessage = WireLimits().message
  }

  /// Refuses to speak to `other` when a type both know has two versions, or when one side insists on the same bits and they
  /// would differ. Types that one side lacks are no reason: naming one is an error then, of that call.
  package func check(_ other: Hello) throws(RuntimeError) {
    for (name, version) in types.sorted(by: { $0.key < $1.key }) {
      guard let theirs = other.types[name], theirs != version else { continue }
      throw RuntimeError(
        .incompatiblePeer,
        "\(name) has version \(version) here and \(theirs) on \(other.name): run the same release on both."
      )
    }
    guard requiresSameBits || other.requiresSameBits else { return }
    guard kernels == other.kernels else {
      throw RuntimeError(
        .incompatiblePeer,
        "Kernels are \(kernels) here and \(other.kernels) on \(other.name), and the same bits are required: "
          + "set BYZKIT_KERNELS to one variant on both.")
    }
    guard blas == other.blas else {
      throw RuntimeError(
        .incompatiblePeer,
        "BLAS is '\(blas)' here and '\(other.blas)' on \(other.name), and the same bits are required: "
          + "install the same version of OpenBLAS and set OPENBLAS_CORETYPE to one core on both.")
    }
  }
}

extension Hello {
  /// Of any peer: room for the names of some thousand types, since as many are kept as there are connections.
  private static let limits = {
    var limits = WireLimits()
    (limits.body, limits.decoded, limits.depth) = (256 << 10, 1 << 20, 8)
    return limits
  }()

  /// What another process says, for errors and logs: not long, and nothing that looks like a line of them.
  private static func line(_ text: String) -> String {
    var line = String.UnicodeScalarView()
    for scalar in text.unicodeScalars.prefix(256) {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: line.append("\u{FFFD}")
      default: line.append(scalar)
      }
    }
    return String(line)
  }

  package static func encode(_ hello: Hello) -> [UInt8] {
    var encoder = WireEncoder()
    // Numbers, names and a dictionary: nothing that an encoder could refuse.
    return ((try? encoder.encode(hello)) ?? .null).serialized()
  }

  /// What the other side sent.
  ///
  /// - Throws: ``RuntimeError/Code/malformedMessage``.
  package init(parsing body: [UInt8]) throws {
    guard body.count <= Self.limits.body else {
      throw RuntimeError(
        .malformedMessage,
        "The other side's hello has \(body.count) bytes, of \(Self.limits.body) at most.")
    }
    let value = try WireValue(parsing: body, limits: Self.limits)
    do {
      self = try WireDecoder(segments: []).decode(Hello.self, from: value)
    } catch {
      throw RuntimeError(.malformedMessage, "The other side's hello cannot be read.", cause: error)
    }
    (name, kernels, blas) = (Self.line(name), Self.line(kernels), Self.line(blas))
    guard host != 0 else {
      throw RuntimeError(.malformedMessage, "The other side's hello names nobody, as host 0.")
    }
  }
}
