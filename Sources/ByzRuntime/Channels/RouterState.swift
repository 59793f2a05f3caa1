/// Which way the mail of a process takes, and which of its workers it has brought together if it is their client: events go in, what to
/// do comes out. Time, calls and connections are the caller's.
///
/// Mail takes the connection to the mailbox's process. A worker without one asks its client, once for all who wait, to be brought
/// together with the other; where that fails the client passes the mail on. A client brings two together once, until they
/// have lost the connection that came of it.
package struct RouterState<Connection: AnyObject> {
  /// Names this process.
  private let host: UInt64
  /// The connections, by the process at the other end.
  private var connections: [UInt64: Connection] = [:]
  /// Those to other workers that deliver mail here already, though they may not be used yet.
  private var arriving: [UInt64: [Connection]] = [:]
  /// The client, if this is a worker: it knows the way to all others.
  package var upstream: Connection?
  /// Whether no connection is taken any more.
  private(set) var isStopped = false
  /// The other workers of the same client, as far as there was mail for them.
  private var acquaintances: [UInt64: Acquaintance] = [:]
  private static var mostAcquaintances: Int { 65_536 }
  /// Where others reach the workers of this client.
  private var addresses: [UInt64: String] = [:]
  /// Which of them were brought together.
  private var introductions: [Pair: Introduction] = [:]

  /// What a worker knows of another one of its client.
  private struct Acquaintance: Sendable {
    /// The introduction that led to the last connection; 0 before the first.
    var ticket: UInt64 = 0
    /// Whether there is no way but through the client: it has said so, or has not answered in time.
    var isOutOfReach = false
    /// Whether the client has been asked, and has not answered.
    var isAsked = false
  }

  /// Two processes, in whatever order.
  private struct Pair: Hashable {
    let low: UInt64
    let high: UInt64

    init(_ one: UInt64, _ other: UInt64) { (low, high) = (min(one, other), max(one, other)) }

    func has(_ host: UInt64) -> Bool { low == host || high == host }
  }

  /// What a client knows of two workers that it brings together.
  private struct Introduction: Sendable {
    /// Tells it from others.
    let number: UInt64
    /// The ticket of the connection that is to come of it.
    var ticket: UInt64
    /// Who goes to whom.
    var dialer: UInt64
    var listener: UInt64
    var attempt = Attempt.listening
    /// Whether they are connected, once that is known.
    var outcome: Bool?

    enum Attempt { case listening, dialing, passing }
    /// Whether the other direction has been tried, too.
    var isReversed = false
  }

  package init(host: UInt64) { self.host = host }
}

extension RouterState: Sendable where Connection: Sendable {}

// MARK: - Connections

extension RouterState {
  /// The connection to a process, if there is one.
  package func connection(to host: UInt64) -> Connection? { connections[host] }

  /// Takes note of a connection to another worker that is being opened.
  package mutating func opening(_ connection: Connection, to host: UInt64) {
    arriving[host, default: []].append(connection)
  }

  /// Whatever may still deliver mail of a worker: what is to end before a new connection takes its place, or its mail would come late.
  package func connections(with host: UInt64) -> [Connection] {
    (connections[host].map { [$0] } ?? []) + (arriving[host] ?? [])
  }

  /// Takes note of a connection, so that mail finds it.
  ///
  /// - Parameters:
  ///   - address: where other workers reach the process.
  ///   - ticket: the introduction that led to the connection.
  /// - Returns: false when it must not be used: a second one to a process would take the first one's mail.
  package mutating func adopt(
    _ connection: Connection, as host: UInt64, at address: String? = nil, by ticket: UInt64? = nil
  ) -> Bool {
    guard !isStopped, connections[host] == nil, host != self.host else { return false }
    connections[host] = connection
    addresses[host] = address
    forget(connection, to: host)
    if let ticket {
      acquaintances[host, default: Acquaintance()].ticket = ticket
      // However late it came.
      acquaintances[host]?.isOutOfReach = false
    }
    return true
  }

  /// A connection has ended.
  package mutating func ended(_ connection: Connection, as host: UInt64) {
    forget(connection, to: host)
    guard connections[host] === connection else { return }
    connections[host] = nil
    addresses[host] = nil
    introductions = introductions.filter { !$0.key.has(host) }
  }

  private mutating func forget(_ connection: Connection, to host: UInt64) {
    let others = (arriving[host] ?? []).filter { $0 !== connection }
    arriving[host] = others.isEmpty ? nil : others
  }

  /// The client has come again, by this connection: what it could not do while it was away it can now.
  package mutating func comeBack(over connection: Connection) {
    upstream = connection
    for host in acquaintances.keys { acquaintances[host]?.isOutOfReach = false }
  }

  /// Takes note of no more connections.
  ///
  /// - Returns: those that there are, which are to end.
  package mutating func stop() -> [Connection] {
    isStopped = true
    return everyone
  }

  /// The connections that there are.
  var everyone: [Connection] {
    connections.sorted { $0.key < $1.key }.map(\.value)
      + arriving.sorted { $0.key < $1.key }.flatMap(\.value)
  }
}

// MARK: - The worker

extension RouterState {
  /// The way of mail to a process.
  package enum Way {
    /// This connection; nil when there is no way.
    case take(Connection?)
    /// The client's answer is on its way: ``RouterState/wayNow(to:)`` after it.
    case wait
    /// Ask the client to be brought together with the process, now that the connection by that ticket is lost, and tell the
    /// answer to ``RouterState/answered(_:about:over:)``; then as with ``wait``.
    case ask(Connection, lost: UInt64)
  }

  package mutating func way(to host: UInt64) -> Way {
    if let connection = connections[host] { return .take(connection) }
    guard let upstream else { return .take(nil) }
    // Beyond a number that no cluster has, all goes by the client.
    guard acquaintances[host] != nil || acquaintances.count < Self.mostAcquaintances else {
      return .take(upstream)
    }
    let acquaintance = acquaintances[host] ?? Acquaintance()
    if acquaintance.isOutOfReach { return .take(upstream) }
    if acquaintance.isAsked { return .wait }
    acquaintances[host, default: Acquaintance()].isAsked = true
    return .ask(upstream, lost: acquaintance.ticket)
  }

  /// The client has said over a connection whether there is one to a process, or has not said it in time; nil when it does not know yet, so
  /// that the next mail asks again.
  package mutating func answered(
    _ areConnected: Bool?, about host: UInt64, over client: Connection
  ) {
    acquaintances[host]?.isAsked = false
    // One that the client has lost says nothing about the way there is now.
    if client === upstream, let areConnected {
      acquaintances[host]?.isOutOfReach = !areConnected
    }
  }

  /// The way of mail that has waited for the client's answer.
  package func wayNow(to host: UInt64) -> Connection? { connections[host] ?? upstream }
}

// MARK: - The client

extension RouterState {
  /// What to do next to bring two workers together.
  package enum Step {
    /// Nothing: it is known whether they are connected.
    case done(Bool)
    /// Nothing: the introduction of that number is under way, and its outcome is this one's.
    case wait(UInt64)
    /// Have the worker at a connection do its part, and tell ``RouterState/joined(_:_:_:in:ticket:)`` whether it did.
    case join(Connection, host: UInt64, ticket: UInt64, Meeting)
    /// Pass each of the two one end of a socket under the ticket, have both take it, and tell whether they did.
    case pass(Connection, Connection, ticket: UInt64)
  }

  /// A worker asks to be brought together with another one.
  ///
  /// - Parameters:
  ///   - lost: the ticket of the connection that the asking one has lost; 0 when there was none.
  ///   - number: names the introduction if this is the first to ask for it, and is its ticket; new.
  ///   - canPass: whether both are child processes, which sockets can be passed to.
  package mutating func introduce(
    _ asker: UInt64, to host: UInt64, after lost: UInt64, as number: UInt64,
    canPass: (Connection, Connection) -> Bool
  ) -> Step {
    let pair = Pair(asker, host)
    if let known = introductions[pair], known.ticket != lost { return outcome(of: known) }
    guard asker != host, let one = connections[asker], let other = connections[host] else {
      return .done(false)
    }
    var introduction = Introduction(number: number, ticket: number, dialer: asker, listener: host)
    if canPass(one, other) {
      introduction.attempt = .passing
      introductions[pair] = introduction
      return .pass(one, other, ticket: number)
    }
    introductions[pair] = introduction
    guard let address = addresses[asker], let otherAddress = addresses[host],
      address.prefix(while: { $0 != ":" }) == otherAddress.prefix(while: { $0 != ":" })
    else { return end(pair, false) }
    return next(pair)
  }

  /// A worker has done its part of an introduction, or both have, or it cannot be done.
  ///
  /// - Parameter ticket: for another attempt; new.
  package mutating func joined(
    _ hasJoined: Bool, _ one: UInt64, _ other: UInt64, in number: UInt64, ticket: UInt64
  ) -> Step {
    let pair = Pair(one, other)
    guard var introduction = introductions[pair] else { return .done(false) }
    guard introduction.number == number else { return outcome(of: introduction) }
    switch (introduction.attempt, hasJoined) {
    case (.listening, true): introduction.attempt = .dialing
    case (.dialing, true), (.passing, _): return end(pair, hasJoined)
    case (_, false):
      // Either may be the one whose address holds for this process only.
      guard !introduction.isReversed else { return end(pair, false) }
      (introduction.dialer, introduction.listener) = (introduction.listener, introduction.dialer)
      introduction.ticket = ticket
      introduction.attempt = .listening
      introduction.isReversed = true
    }
    introductions[pair] = introduction
    return next(pair)
  }

  private mutating func next(_ pair: Pair) -> Step {
    guard let introduction = introductions[pair],
      let listener = connections[introduction.listener],
      let dialer = connections[introduction.dialer],
      let address = addresses[introduction.listener]
    else { return end(pair, false) }
    let ticket = introduction.ticket
    guard introduction.attempt == .dialing else {
      return .join(listener, host: introduction.dialer, ticket: ticket, .wait)
    }
    return .join(dialer, host: introduction.listener, ticket: ticket, .dial(address))
  }

  private mutating func end(_ pair: Pair, _ areConnected: Bool) -> Step {
    introductions[pair]?.outcome = areConnected
    return .done(areConnected)
  }

  private func outcome(of introduction: Introduction) -> Step {
    introduction.outcome.map { .done($0) } ?? .wait(introduction.number)
  }
}

extension RouterState.Way: Sendable where Connection: Sendable {}
extension RouterState.Step: Sendable where Connection: Sendable {}

/// How a worker gets its end of the connection to another one.
package enum Meeting: Hashable, Sendable {
  /// The other one will come and show the ticket.
  case wait
  /// By connecting to where the other one listens, and showing the ticket.
  case dial(String)
  /// From the process that started both, which has passed it on under the ticket.
  case take
}

extension Meeting {
  package var value: WireValue {
    switch self {
    case .wait: .null
    case .dial(let address): .string(address)
    case .take: .bool(true)
    }
  }

  package init?(_ value: WireValue) {
    switch value {
    case .null: self = .wait
    case .string(let address): self = .dial(address)
    case .bool(true): self = .take
    default: return nil
    }
  }
}

/// Which workers are expected to come by themselves, and to whom: one ticket for each two.
package struct ExpectedSiblings<Session: AnyObject> {
  private var expected: [UInt64: (session: Session, host: UInt64)] = [:]
  /// Each session's tickets, by host.
  private var tickets: [ObjectIdentifier: [UInt64: UInt64]] = [:]

  /// How many one session may wait for.
  package static var mostTickets: Int { 4096 }

  package init() {}

  /// Whoever shows the ticket is `host`, and has mail for `session`.
  ///
  /// - Throws: ``RuntimeError/Code/limitExceeded`` when the session waits for too many already.
  package mutating func expect(
    _ ticket: UInt64, from host: UInt64, in session: Session
  ) throws(RuntimeError) {
    var own = tickets[ObjectIdentifier(session), default: [:]]
    if let last = own[host] { expected[last] = nil }
    guard own[host] != nil || own.count < Self.mostTickets else {
      throw RuntimeError(
        .limitExceeded, "\(Self.mostTickets) workers are expected here already, and do not come.")
    }
    own[host] = ticket
    tickets[ObjectIdentifier(session)] = own
    expected[ticket] = (session, host)
  }

  /// Who shows a ticket, once; nil when nobody waits for it.
  package mutating func admit(_ ticket: UInt64) -> (session: Session, host: UInt64)? {
    guard let found = expected.removeValue(forKey: ticket) else { return nil }
    tickets[ObjectIdentifier(found.session)]?[found.host] = nil
    return found
  }

  /// The session has ended and waits for nobody.
  package mutating func leave(_ session: Session) {
    for ticket in (tickets.removeValue(forKey: ObjectIdentifier(session)) ?? [:]).values {
      expected[ticket] = nil
    }
  }
}

extension ExpectedSiblings: Sendable where Session: Sendable {}
