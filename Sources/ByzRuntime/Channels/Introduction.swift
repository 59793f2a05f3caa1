internal import ByzTensor

// Mail between two workers of one client takes a connection of its own where they can reach each other. On the first mail the sender
// asks the client, who brings the two together: he gives both a ticket, and one of them the other's address. Nobody connects to an
// address, or takes in a stranger, that his client has not named. Where it fails the mail goes through the client.

// MARK: - The worker

extension ByzActorSystem {
  /// The connection that mail to a process takes, made if need be; nil when there is none.
  ///
  /// - Throws: ``RuntimeError/Code/unknownTarget`` when the process was looked for in vain;
  ///   ``RuntimeError/Code/deadlineExceeded`` and `CancellationError` meanwhile.
  func way(to host: UInt64) async throws -> Peer? {
    if let actor = state.withLock({ $0.spawning[host]?.actor }) {
      do {
        return try await peer(of: actor)
      } catch let error as RuntimeError where error.code == .workerLost {
        throw RuntimeError(
          .unknownTarget, "No connection leads to the mailbox's process. \(error.message)",
          cause: error)
      }
    }
    let answered = Promise<Void>()
    let way = state.withLock { state in
      let way = state.router.way(to: host)
      switch way {
      case .take: break
      case .wait, .ask: state.questions[host, default: []].append(answered)
      }
      return way
    }
    switch way {
    case .take(let peer): return peer
    case .wait: break
    case .ask(let client, let lost):
      // In a task of its own: the answer is for all who wait, not for this caller alone.
      Task.detached { [self] in await ask(client, for: host, lost: lost) }
    }
    try await answered.value(
      until: CallDeadline.current,
      else: RuntimeError(.deadlineExceeded, "No way to the mailbox's process was found in time."))
    return state.withLock { $0.router.wayNow(to: host) }
  }

  /// Asks the client to be brought together with another worker, and remembers the answer.
  private func ask(_ client: Peer, for host: UInt64, lost: UInt64) async {
    let answer = try? await withDeadline(introductionLimit) { [self] in
      try await call(client, .meet(host: host, lost: lost)).value
    }
    let waiting = state.withLock { state in
      let areConnected: Bool? = answer == .null ? nil : answer == .bool(true)
      state.router.answered(areConnected, about: host, over: client)
      return state.questions.removeValue(forKey: host)
    }
    for one in waiting ?? [] { one.settle(.success(())) }
  }

  /// What is left of the connections to another worker must deliver nothing after what comes another way.
  func endConnections(with host: UInt64) async {
    for old in state.withLock({ $0.router.connections(with: host) }) {
      old.link.close(RuntimeError(.workerLost, "Another way takes its place."))
      _ = await old.waitUntilEnded()
      state.withLock { $0.router.ended(old, as: host) }
    }
  }

  /// Does what the client says to be connected to another of its workers.
  func meet(_ host: UInt64, ticket: UInt64, _ meeting: Meeting) async throws {
    await endConnections(with: host)
    switch meeting {
    case .wait:
      let lobby = try common()
      try lobby.expect(ticket, from: host, in: self)
      // The session may have ended, and left the lobby, before.
      if state.withLock({ $0.router.isStopped }) { lobby.leave(self) }
    case .take:
      let parent = state.withLock { $0.router.upstream?.link } as? ProcessLink
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
  package func connection(to host: UInt64) -> Peer? {
    state.withLock { $0.router.connection(to: host) }
  }
}

// MARK: - The client

extension ByzActorSystem {
  /// Brings together two processes that this one has connected to.
  ///
  /// - Parameter lost: the introduction whose connection the asking one has lost; 0 when there was none.
  /// - Returns: whether they are connected; nil when the other one's connection is broken or breaks meanwhile, so that it is not
  ///   known yet.
  func introduce(_ asker: UInt64, to host: UInt64, after lost: UInt64) async -> Bool? {
    let connection = self.connection(to: host)
    guard !state.withLock({ $0.hasLost(host, connection) }) else { return nil }
    let number = UInt64.random(in: 1 ... .max)
    let outcome = Promise<Bool>()
    var (step, other) = proceed { state in
      let step = state.router.introduce(asker, to: host, after: lost, as: number) {
        $0.link is ProcessLink && $1.link is ProcessLink
      }
      switch step {
      case .join, .pass: state.introductions[number] = outcome
      case .done, .wait: break
      }
      return step
    }
    var areConnected: Bool?
    while areConnected == nil {
      let hasJoined: Bool
      switch step {
      case .done(let result):
        areConnected = result
        continue
      case .wait:
        areConnected = (try? await other?.result.get()) ?? false
        continue
      case .join(let peer, let host, let ticket, let meeting):
        // Neither of the two may hold up the other.
        hasJoined =
          (try? await withDeadline(introductionLimit) { [self] in
            try await call(peer, .join(host: host, ticket: ticket, meeting))
          }) != nil
      case .pass(let peer, let otherPeer, let ticket):
        hasJoined =
          (try? await withDeadline(introductionLimit) { [self] in
            await pass(peer, asker, otherPeer, host, ticket)
          }) == true
      }
      (step, other) = proceed { state in
        state.router.joined(
          hasJoined, asker, host, in: number, ticket: .random(in: 1 ... .max))
      }
    }
    _ = state.withLock { $0.introductions.removeValue(forKey: number) }
    outcome.settle(.success(areConnected == true))
    if areConnected == true { return true }
    return state.withLock { $0.hasLost(host, connection) } ? nil : false
  }

  /// What is next, and the outcome to wait for if it is to wait.
  private func proceed(
    _ change: (inout State) -> RouterState<Peer>.Step
  ) -> (RouterState<Peer>.Step, Promise<Bool>?) {
    state.withLock { state in
      let step = change(&state)
      guard case .wait(let number) = step else { return (step, nil) }
      return (step, state.introductions[number])
    }
  }

  /// Passes each of two child processes one end of a socket.
  private func pass(
    _ peer: Peer, _ host: UInt64, _ otherPeer: Peer, _ otherHost: UInt64, _ ticket: UInt64
  ) async -> Bool {
    guard let link = peer.link as? ProcessLink, let otherLink = otherPeer.link as? ProcessLink,
      ProcessLink.connect(link, otherLink, as: ticket)
    else { return false }
    async let first = call(peer, .join(host: otherHost, ticket: ticket, .take))
    async let second = call(otherPeer, .join(host: host, ticket: ticket, .take))
    return (try? await (first, second)) != nil
  }
}

extension ByzActorSystem.State {
  /// Whether the connection to a process has broken, and the process may be found again.
  fileprivate func hasLost(_ host: UInt64, _ connection: Peer?) -> Bool {
    guard spawning[host]?.actor != nil else { return false }
    guard let connection, !connection.hasEnded else { return true }
    return router.connection(to: host) !== connection
  }
}
