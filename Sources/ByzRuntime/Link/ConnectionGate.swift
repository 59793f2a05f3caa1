/// Who may connect: counts connections in total and by party, and how fast a party makes them.
///
/// A value without clock or sockets. What it remembers is bounded: a number per party that is
/// connected, and one per party that has connected within the second.
package struct ConnectionGate: Sendable {
  /// Why a connection is closed unanswered.
  package enum Refusal: Hashable, Sendable {
    case tooMany
    case tooManyFromAddress
    case tooFast
    case closing
  }

  private let maxConnections: Int
  private let maxConnectionsPerParty: Int
  private let maxAcceptsPerSecond: Int

  private var isClosing = false
  /// How many connections there are.
  package private(set) var count = 0
  private var countByParty: [[UInt8]: Int] = [:]
  private var second: UInt64 = 0
  private var acceptsByParty: [[UInt8]: Int] = [:]

  package init(maxConnections: Int, maxConnectionsPerParty: Int, maxAcceptsPerSecond: Int) {
    self.maxConnections = maxConnections
    self.maxConnectionsPerParty = maxConnectionsPerParty
    self.maxAcceptsPerSecond = maxAcceptsPerSecond
  }

  /// A connection from `party` at a time, in whole seconds of a clock that does not go back. Nil
  /// means that it counts from now on until ``release(_:)``.
  package mutating func admit(_ party: [UInt8], second now: UInt64) -> Refusal? {
    if isClosing { return .closing }
    if now != second {
      second = now
      acceptsByParty.removeAll(keepingCapacity: true)
    }
    // Refused ones count too, or whoever is refused could go on at full speed.
    acceptsByParty[party, default: 0] += 1
    if acceptsByParty[party, default: 0] > maxAcceptsPerSecond { return .tooFast }
    if count >= maxConnections { return .tooMany }
    if countByParty[party, default: 0] >= maxConnectionsPerParty { return .tooManyFromAddress }
    count += 1
    countByParty[party, default: 0] += 1
    return nil
  }

  /// A connection that was admitted has ended.
  package mutating func release(_ party: [UInt8]) {
    count -= 1
    countByParty[party, default: 0] -= 1
    if countByParty[party] == 0 { countByParty[party] = nil }
  }

  /// Admits nobody any more.
  package mutating func close() { isClosing = true }
}
