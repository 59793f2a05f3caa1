/// Serves one connection as a worker: spawns actors and runs subtasks of the registry for the other side, until the connection ends.
///
/// Every connection has an actor system of its own, so that clients neither see nor name each other's actors, and what was made for
/// a client goes when its connection ends.
///
/// - Parameters:
///   - link: a link that nobody has started.
///   - registry: what may be named.
///   - authenticator: what is asked of the other side, and proved to it.
///   - lobby: what the sessions of one server have in common.
///   - isSameProgram: whether the other side is this very program on this machine.
/// - Returns: why the connection ended.
@discardableResult
package func serveAsWorker(
  _ link: any Link, registry: Registry, authenticator: (any LinkAuthenticator)? = nil,
  liveness: Liveness = Liveness(), requiresSameBits: Bool = false, lobby: Lobby? = nil,
  isSameProgram: Bool = false
) async -> RuntimeError {
  let system = ByzActorSystem(
    registry: registry, liveness: liveness, requiresSameBits: requiresSameBits, lobby: lobby)
  let host = WorkerHost(system: system, isWorker: true)
  let peer = Peer(
    link: link, server: host, hello: system.hello(namesBLAS: !isSameProgram),
    authenticator: authenticator, liveness: liveness)
  system.state.withLock { $0.router.upstream = peer }
  let reason = await withTaskCancellationHandler {
    do {
      let other = try await peer.open()
      try system.adopt(peer, as: other.host)
    } catch {
      link.close(error as? RuntimeError ?? RuntimeError(.stopped, "\(error)"))
    }
    return await peer.waitUntilEnded()
  } onCancel: {
    // Finishes what it was asked for, then ends the connection.
    peer.drain()
  }
  await host.connectionEnded()
  await system.stop()
  lobby?.leave(system)
  // Or the two would keep each other, and all they hold, after the connection.
  system.state.withLock { $0.router.upstream = nil }
  return reason
}
