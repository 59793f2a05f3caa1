package import ByzLaunch

/// What `--remote-hosts` names: `tcp://a:29000,tcp://b*2`, where the port may be left out, and a host with a count stands for so many
/// in a row.
package struct RemoteHosts: Sendable {
  package let list: [BackendSpecification]

  /// - Throws: `UsageError` for what is no host, or is named twice; `RuntimeError` for what cannot be
  ///   read.
  package init(_ text: String) throws {
    let addresses = text.split(separator: ",", omittingEmptySubsequences: false)
      .map { Self.withPort(String($0)) }
    list = try BackendSpecification.list(addresses.joined(separator: ","))
    for host in list where !host.isElsewhere {
      throw UsageError(
        "--remote-hosts names hosts, tcp://host:port or ucx://host:port; \(host) is none.")
    }
    // The list puts both together, at the first one's place: nodes would live elsewhere than it reads.
    var places: Set<BackendSpecification.Place> = []
    for address in addresses {
      let place = try BackendSpecification(address).place
      guard places.insert(place).inserted else {
        throw UsageError(
          "--remote-hosts names \(place) twice. Name it once, or as \(place)*2 to deal nodes to it "
            + "twice in a row.")
      }
    }
  }

  /// The address with the port that servers listen on by default, if it has none.
  private static func withPort(_ text: String) -> String {
    guard let scheme = text.firstRange(of: "://") else { return text }
    let host = text[scheme.upperBound...]
    // A colon inside of brackets is the address's own.
    let tail = host.lastIndex(of: "]").map { host[$0...] } ?? host
    guard !tail.contains(":"), !host.isEmpty else { return text }
    // Before the count of workers, if there is one.
    let end = tail.firstIndex(of: "*") ?? text.endIndex
    return "\(text[..<end]):\(LaunchEnvironment.defaultPort)\(text[end...])"
  }
}
