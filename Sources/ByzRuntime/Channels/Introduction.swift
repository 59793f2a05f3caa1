internal import ByzTensor

// Mail between two workers of one client takes a connection of its own where they can reach each other. On the first mail the sender
// asks the client, who brings the two together: he gives both a ticket, and one of them the other's address. Nobody connects to an
// address, or takes in a stranger, that his client has not named. Where it fails the mail goes through the client.

/// What a client knows of two workers that it brings together.
struct Introduction: Sendable {
  /// Tells it from earlier ones of the same two, whose connections were lost.
  var ticket: UInt64
  /// Whether they are connected, once that is known.
  let outcome: Promise<Bool>

  /// The two, in whatever order.
  struct Pair: Hashable {
    let low: UInt64
    let high: UInt64

    init(_ one: UInt64, _ other: UInt64) { (low, high) = (min(one, other), max(one, other)) }

    func has(_ host: UInt64) -> Bool { low == host || high == host }
  }
}

/// What a worker knows of another one of its client.
struct Acquaintance: Sendable {
  /// The introduction that led to the last connection; 0 before the first.
  var ticket: UInt64 = 0
  /// Whether the client has said that there is no way but through it.
  var isOutOfReach = false
  /// The question to the client that has not been answered.
  var question: Promise<Void>?
}

/// How a worker gets its end of the connection to another one.
enum Meeting: Hashable, Sendable {
  /// The other one will come and show the ticket.
  case wait
  /// By connecting to where the other one listens, and showing the ticket.
  case dial(String)
  /// From the process that started both, which has passed it on under the ticket.
  case take

  var value: WireValue {
    switch self {
    case .wait: .null
    case .dial(let address): .string(address)
    case .take: .bool(true)
    }
  }

  init?(_ value: WireValue) {
    switch value {
    case .null: self = .wait
    case .string(let address): self = .dial(address)
    case .bool(true): self = .take
    default: return nil
    }
  }
}

/// How long bringing two workers together may take.
private let introductionLimit = Duration.seconds(10)

// MARK: - The worker

extension ByzActorSystem {
  /// The connection that mail to a process takes, made if need be; nil when there is none.
  func way(to host: UInt64) async -> Peer? {
    let promise = Promise<Void>()
    let next = state.withLock { state -> NextStep in
      if let peer = state.peers[host] { return .take(peer) }
      guard let client = state.upstream else { return .take(nil) }
      let acquaintance = state.acquaintances[host] ?? Acquaintance()
      if acquaintance.isOutOfReach { return .take(client) }
      if let question = acquaintance.question { return .wait(question) }
      state.acquaintances[host] = acquaintance
      state.acquaintances[host]?.question = promise
      return .ask(client, lost: acquaintance.ticket)
    }
    switch next {
    case .take(let peer): return peer
    case .wait(let question): _ = await question.result
    case .ask(let client, let lost):
      // In a task of its own: the answer is for all who wait, not for this caller alone.
      Task.detached { [self] in
        await ask(client, for: host, lost: lost)
        promise.settle(.success(()))
      }
      _ = await promise.result
    }
    return state.withLock { $0.peers[host] ?? $0.upstream }
  }

  private enum NextStep {
    case take(Peer?)
    case wait(Promise<Void>)
    case ask(Peer, lost: UInt64)
  }

  /// Asks the client to be brought together with another worker, and remembers the answer.
  private func ask(_ client: Peer, for host: UInt64, lost: UInt64) async {
    let answer = try? await withDeadline(introductionLimit) { [self] in
      try await call(client, .meet(host: host, lost: lost)).value
    }
    state.withLock { state in
      state.acquaintances[host]?.question = nil
      state.acquaintances[host]?.isOutOfReach = answer != .bool(true)
    }
  }

  /// Does what the client says to be connected to another of its workers.
  func meet(_ host: UInt64, ticket: UInt64, _ meeting: Meeting) async throws {
    // What is left of an earlier connection must deliver nothing after what comes by the new one.
    if let old = state.withLock({ $0.peers[host] }) {
      old.link.close(RuntimeError(.workerLost, "A new connection takes its place."))
      _ = await old.waitUntilEnded()
      state.withLock { if $0.peers[host] === old { $0.peers[host] = nil } }
    }
    switch meeting {
    case .wait: try common().expect(ticket, from: host, in: self)
    case .take:
      let parent = state.withLock { $0.upstream?.link } as? ProcessLink
      guard let socket = parent?.passage?.take(ticket) else {
        throw RuntimeError(.transportUnavailable, "No socket to the other process has come.")
      }
      let link = ProcessLink(
        peerName: "sibling process", socket: socket, arena: nil, peerMemory: nil, child: nil)
      let peer = try await open(link, isSameProgram: true, sibling: host)
      guard peer.hello?.host == host else {
        await peer.close(within: .zero)
        throw RuntimeError(.authenticationFailed, "Another process has the socket's other end.")
      }
      try adopt(peer, as: host, by: ticket)
    case .dial(let address):
      let peer = try await open(try common().backend(at: address), named: "sibling", sibling: host)
      do {
        try await present(ticket, to: peer)
        try adopt(peer, as: host, by: ticket)
      } catch {
        await peer.close(within: .zero)
        throw error
      }
    }
  }
}

extension ByzActorSystem {
  private func common() throws(RuntimeError) -> Lobby {
    guard let lobby else {
      throw RuntimeError(.unknownTarget, "This worker has no way to others.")
    }
    return lobby
  }

  /// Shows a worker the ticket that it waits for.
  package func present(_ ticket: UInt64, to peer: Peer) async throws {
    _ = try await call(peer, .present(ticket: ticket))
  }

  /// The connection to a process, if there is one.
  package func connection(to host: UInt64) -> Peer? { state.withLock { $0.peers[host] } }
}

// MARK: - The client

extension ByzActorSystem {
  /// Brings together two processes that this one has connected to.
  ///
  /// - Parameter lost: the introduction whose connection the asking one has lost; 0 when there was none.
  /// - Returns: whether they are connected.
  func introduce(_ asker: UInt64, to host: UInt64, after lost: UInt64) async -> Bool {
    let new = Introduction(ticket: .random(in: 1 ... .max), outcome: Promise())
    let pair = Introduction.Pair(asker, host)
    let introduction = state.withLock { state -> Introduction? in
      if let known = state.introductions[pair], known.ticket != lost { return known }
      guard asker != host, state.peers[asker] != nil, state.peers[host] != nil else { return nil }
      state.introductions[pair] = new
      return new
    }
    guard let introduction else { return false }
    if introduction.outcome === new.outcome {
      let areConnected = await bringTogether(asker, host, new)
      new.outcome.settle(.success(areConnected))
    }
    return (try? await introduction.outcome.result.get()) ?? false
  }

  private func bringTogether(
    _ one: UInt64, _ other: UInt64, _ introduction: Introduction
  ) async -> Bool {
    let (peer, otherPeer) = state.withLock { ($0.peers[one], $0.peers[other]) }
    if let peer, let otherPeer, let link = peer.link as? ProcessLink,
      let otherLink = otherPeer.link as? ProcessLink
    {
      let ticket = introduction.ticket
      guard ProcessLink.connect(link, otherLink, as: ticket) else { return false }
      async let first = call(peer, .join(host: other, ticket: ticket, .take))
      async let second = call(otherPeer, .join(host: one, ticket: ticket, .take))
      do {
        _ = try await (first, second)
        return true
      } catch {
        return false
      }
    }
    let (address, otherAddress) = state.withLock { ($0.addresses[one], $0.addresses[other]) }
    guard let address, let otherAddress,
      address.prefix(while: { $0 != ":" }) == otherAddress.prefix(while: { $0 != ":" })
    else { return false }
    // Either may be the one whose address holds for this process only.
    if await have(one, dial: other, at: otherAddress, introduction.ticket) { return true }
    let ticket = UInt64.random(in: 1 ... .max)
    state.withLock { $0.introductions[Introduction.Pair(one, other)]?.ticket = ticket }
    return await have(other, dial: one, at: address, ticket)
  }

  private func have(
    _ dialer: UInt64, dial listener: UInt64, at address: String, _ ticket: UInt64
  ) async -> Bool {
    let (from, to) = state.withLock { ($0.peers[dialer], $0.peers[listener]) }
    guard let from, let to else { return false }
    do {
      _ = try await call(to, .join(host: dialer, ticket: ticket, .wait))
      _ = try await call(from, .join(host: listener, ticket: ticket, .dial(address)))
      return true
    } catch {
      return false
    }
  }
}
