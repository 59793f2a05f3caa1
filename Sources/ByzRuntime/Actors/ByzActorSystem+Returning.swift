/// An actor that this process has spawned in another one, and the way back to it.
struct SpawnedActor: Sendable {
  /// Where to connect again; nil when there is nothing left to connect to, as after a child's end.
  var backend: (any LinkBackend)?
  /// What the other side knows this one by then.
  let key: UInt64
  /// Who waits for a new connection; nil when none is being made.
  var waiting: [Promise<Void>]?
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
  /// - Throws: ``RuntimeError/Code/workerLost`` when the actor is gone, or was not found again within ``Liveness/timeout``;
  ///   ``RuntimeError/Code/deadlineExceeded``; `CancellationError`.
  func peer(of id: ByzActorID) async throws -> Peer {
    if let peer = connection(to: id.host) { return peer }
    while true {
      let turn = Promise<Void>()
      switch state.withLock({ $0.way(to: id, turn) }) {
      case .take(let peer): return peer
      case .wait: try await turn.value(until: CallDeadline.current)
      case .connect(let backend, let key):
        defer { state.withLock { $0.endConnecting(to: id) }.forEach { $0.settle(.success(())) } }
        return try await find(id, at: backend, key: key)
      case .gone:
        throw RuntimeError(
          .workerLost,
          "The connection to actor \(id) has ended, and with it the actor: spawn it again.")
      }
    }
  }

  /// Connects again to where an actor is kept. One that is not there is forgotten; one that there was no time to find is not.
  private func find(
    _ id: ByzActorID, at backend: any LinkBackend, key: UInt64
  ) async throws -> Peer {
    do {
      return try await withDeadline(liveness.timeout) { [self] in
        try await resume(id, at: backend, key: key)
      }
    } catch {
      try Task.checkCancellation()
      if let timeLeft = CallDeadline.timeLeft, timeLeft <= .zero { throw error }
      state.withLock { $0.spawned[id]?.backend = nil }
      throw RuntimeError(
        .workerLost,
        """
        The connection to actor \(id) broke, and another one did not lead back to it: spawn it \
        again. \((error as? RuntimeError)?.message ?? "\(error)")
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
      guard state.withLock({ $0.spawned[id] != nil }) else {
        throw RuntimeError(.stopped, "The actor was stopped.")
      }
      return peer
    } catch {
      await peer.close(within: .zero)
      throw error
    }
  }
}

extension ByzActorSystem.State {
  fileprivate mutating func way(to id: ByzActorID, _ turn: Promise<Void>) -> ByzActorSystem.Way {
    if let peer = router.connection(to: id.host) { return .take(peer) }
    guard let actor = spawned[id], let backend = actor.backend, !router.isStopped else {
      return .gone
    }
    guard actor.waiting == nil else {
      spawned[id]?.waiting?.append(turn)
      return .wait
    }
    spawned[id]?.waiting = []
    return .connect(backend, key: actor.key)
  }

  fileprivate mutating func endConnecting(to id: ByzActorID) -> [Promise<Void>] {
    defer {
      spawned[id]?.waiting = nil
      if spawned[id]?.backend == nil { spawned[id] = nil }
    }
    return spawned[id]?.waiting ?? []
  }

  /// The connection to a process has ended: for this reason if it broke.
  mutating func ended(_ host: UInt64, _ reason: RuntimeError) {
    for id in spawned.keys where id.host == host {
      if reason.code != .workerLost { spawned[id]?.backend = nil }
      if spawned[id]?.backend == nil, spawned[id]?.waiting == nil { spawned[id] = nil }
    }
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
