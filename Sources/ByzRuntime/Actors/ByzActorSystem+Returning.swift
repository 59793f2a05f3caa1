/// The connection over which this process has spawned an actor in another one, and the way back to it when it breaks.
struct SpawningConnection: Sendable {
  /// The actor; nil before it is made.
  var actor: ByzActorID?
  /// Where to connect again; nil when there is nothing left to connect to, as after a child's end.
  var backend: (any LinkBackend)?
  /// What the other side knows this one by then.
  let key: UInt64
  /// When the connection broke.
  var breakTime: Duration?
  /// Who waits for a new connection; nil when none is being made.
  var waiting: [Promise<Void>]?

  /// After so long, who finds nobody looks no more.
  static let searchLimit = Duration.seconds(60)
}

// When the connection to an actor breaks, what is called next connects again: one caller does, the others wait.

extension ByzActorSystem {
  fileprivate enum Way {
    case take(Peer)
    case wait
    case connect(any LinkBackend, key: UInt64)
    case gone
  }

  /// The connection to an actor in another process, made anew if it broke.
  ///
  /// - Throws: ``RuntimeError/Code/workerLost`` when the actor is gone, or was not found within ``Liveness/timeout``;
  ///   ``RuntimeError/Code/deadlineExceeded``; `CancellationError`.
  func peer(of id: ByzActorID) async throws -> Peer {
    if let peer = connection(to: id.host), !peer.hasEnded { return peer }
    while true {
      let turn = Promise<Void>()
      switch state.withLock({ $0.way(to: id.host, turn) }) {
      case .take(let peer):
        guard peer.hasEnded else { return peer }
        // It is about to be forgotten.
        _ = await peer.waitUntilEnded()
      case .wait: try await turn.value(until: CallDeadline.current)
      case .connect(let backend, let key):
        defer {
          state.withLock { $0.endConnecting(to: id.host) }.forEach { $0.settle(.success(())) }
        }
        return try await find(id, at: backend, key: key)
      case .gone:
        throw RuntimeError(
          .workerLost,
          "The connection to actor \(id) has ended, and with it the actor: spawn it again.")
      }
    }
  }

  /// Connects again to where an actor is kept. One that the other side does not know is forgotten, and one that nobody has found for
  /// long.
  private func find(
    _ id: ByzActorID, at backend: any LinkBackend, key: UInt64
  ) async throws -> Peer {
    do {
      return try await withDeadline(liveness.timeout) { [self] in
        var pause = Duration.milliseconds(50)
        while true {
          do {
            return try await resume(id, at: backend, key: key)
          } catch let error as RuntimeError where error.code == .workerLost {
            // Not a poll: a network that broke one connection may break the next, and nothing else tells when it does not.
            try await Task.sleep(for: pause)
            pause *= 2
          }
        }
      }
    } catch {
      try Task.checkCancellation()
      if let timeLeft = CallDeadline.timeLeft, timeLeft <= .zero { throw error }
      let reason = error as? RuntimeError
      let isGone = state.withLock { $0.isGone(id.host, after: reason?.code) }
      throw RuntimeError(
        .workerLost,
        """
        The connection to actor \(id) broke, and there was no way back to it within \
        \(liveness.timeout)\(isGone ? ": spawn it again" : ""). \(reason?.message ?? "\(error)")
        """, cause: error)
    }
  }

  private func resume(
    _ id: ByzActorID, at backend: any LinkBackend, key: UInt64
  ) async throws -> Peer {
    let peer = try await open(backend, named: "actor", resuming: id.host)
    do {
      _ = try await call(peer, .resume(key: key))
      try adopt(peer, as: id.host, at: backend.dialAddress)
    } catch {
      // Not by saying goodbye: the other side may have heard the key, and keeps the actor then.
      peer.link.close(RuntimeError(.workerLost, "The actor was not found in time."))
      throw error
    }
    guard state.withLock({ $0.spawning[id.host] != nil }) else {
      await peer.close()
      throw RuntimeError(.stopped, "The actor was stopped.")
    }
    return peer
  }
}

extension ByzActorSystem.State {
  fileprivate mutating func way(to host: UInt64, _ turn: Promise<Void>) -> ByzActorSystem.Way {
    if let peer = router.connection(to: host) { return .take(peer) }
    guard let connection = spawning[host], let backend = connection.backend, !router.isStopped
    else { return .gone }
    guard connection.waiting == nil else {
      spawning[host]?.waiting?.append(turn)
      return .wait
    }
    spawning[host]?.waiting = []
    return .connect(backend, key: connection.key)
  }

  fileprivate mutating func endConnecting(to host: UInt64) -> [Promise<Void>] {
    defer {
      spawning[host]?.waiting = nil
      if spawning[host]?.backend == nil { spawning[host] = nil }
    }
    return spawning[host]?.waiting ?? []
  }

  /// Whether there is no use in looking for an actor again.
  fileprivate mutating func isGone(_ host: UInt64, after code: RuntimeError.Code?) -> Bool {
    let breakTime = spawning[host]?.breakTime ?? .zero
    switch code {
    case .workerLost, .deadlineExceeded, .transportUnavailable, .workerStartFailed:
      guard Alarm.now - breakTime > SpawningConnection.searchLimit else { return false }
    default: break
    }
    spawning[host]?.backend = nil
    return true
  }

  /// The connection to a process has ended: for this reason if it broke.
  mutating func ended(_ host: UInt64, _ reason: RuntimeError) {
    spawning[host]?.breakTime = Alarm.now
    if reason.code != .workerLost { spawning[host]?.backend = nil }
    if spawning[host]?.backend == nil, spawning[host]?.waiting == nil { spawning[host] = nil }
  }
}

extension Promise where Value == Void {
  /// Waits for it; settles it where that takes too long, so it must be the caller's alone.
  fileprivate func value(until deadline: ContinuousClock.Instant?) async throws {
    let end = deadline.map { deadline in
      Deadline(at: Alarm.now + (deadline - .now)) {
        self.settle(.failure(RuntimeError(.deadlineExceeded, "The actor was not found in time.")))
      }
    }
    end?.set()
    defer { end?.clear() }
    try await withTaskCancellationHandler {
      try await result.get()
    } onCancel: {
      settle(.failure(CancellationError()))
    }
  }
}
