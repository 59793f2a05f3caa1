/// Serves one connection as a worker: spawns actors and runs subtasks of the registry for the other side.
///
/// Every connection has an actor system of its own, so that clients neither see nor name each other's actors, and what was made for
/// a client goes when its connection ends, or some time after it has broken.
package struct WorkerSession: Sendable {
  private let link: any Link
  private let lobby: Lobby?
  private let system: ByzActorSystem
  private let host: WorkerHost
  private let peer: Peer

  /// - Parameters:
  ///   - link: a link that nobody has started.
  ///   - registry: what may be named.
  ///   - authenticator: what is asked of the other side, and proved to it.
  ///   - lobby: what the sessions of one server have in common.
  ///   - isSameProgram: whether the other side is this very program on this machine.
  package init(
    _ link: any Link, registry: Registry, authenticator: (any LinkAuthenticator)? = nil,
    liveness: Liveness = Liveness(), requiresSameBits: Bool = false, lobby: Lobby? = nil,
    isSameProgram: Bool = false
  ) {
    self.link = link
    self.lobby = lobby
    system = ByzActorSystem(
      registry: registry, liveness: liveness, requiresSameBits: requiresSameBits, lobby: lobby)
    host = WorkerHost(system: system, isWorker: true)
    peer = Peer(
      link: link, server: host, hello: system.hello(namesBLAS: !isSameProgram),
      authenticator: authenticator, liveness: liveness)
  }

  /// Serves until the connection ends, and says why it did. ``end(_:keeping:)`` must follow.
  package func serve() async -> RuntimeError {
    system.state.withLock { $0.router.upstream = peer }
    return await withTaskCancellationHandler {
      do {
        // Before the first call: an actor may call its client's actors in it. What is not taken over is closed.
        try await peer.open { [system] other, peer in
          try? system.adopt(peer, as: other.host)
        }
      } catch {
        link.close(error as? RuntimeError ?? RuntimeError(.stopped, "\(error)"))
      }
      return await peer.waitUntilEnded()
    } onCancel: {
      // Finishes what it was asked for, then ends the connection.
      peer.drain()
    }
  }

  /// Ends what was made for the client; when the connection broke, not before the client has had time to come again. If it does, what
  /// was made for it is its new session's.
  package func end(_ reason: RuntimeError, keeping limit: Duration) async {
    let household = await host.leave()
    async let _ = host.stopSubtasks()
    var isTaken = false
    if let lobby, let claim = household.claim {
      isTaken = await lobby.keep(
        household, under: claim, for: reason.code == .stopped ? .zero : limit)
    }
    if !isTaken { await household.end() }
    // What a client found again lives in the system of the session before.
    if household.system !== system { await Household(system: system).end() }
  }
}

/// Serves one connection as a ``WorkerSession``, and ends what was made for it when it ends.
///
/// - Returns: why the connection ended.
@discardableResult
package func serveAsWorker(
  _ link: any Link, registry: Registry, authenticator: (any LinkAuthenticator)? = nil,
  liveness: Liveness = Liveness(), requiresSameBits: Bool = false, lobby: Lobby? = nil,
  isSameProgram: Bool = false
) async -> RuntimeError {
  let session = WorkerSession(
    link, registry: registry, authenticator: authenticator, liveness: liveness,
    requiresSameBits: requiresSameBits, lobby: lobby, isSameProgram: isSameProgram)
  let reason = await session.serve()
  await session.end(reason, keeping: .zero)
  return reason
}
