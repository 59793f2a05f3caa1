/// The connection over which this process has spawned an actor in another one, and the way back to it when it breaks.
struct SpawningConnection: Sendable {
  /// The actor; nil before it is made.
  var actor: ByzActorID?
  /// Where to connect again; nil when there is nothing left to connect to, as after a child's end.
  var backend: (any LinkBackend)?
  /// What the other side knows this one by then.
  let key: UInt64
  /// How often it was tried to connect again.
  var attempts: UInt64 = 0
  /// When it was first looked for in vain since the connection broke.
  var failureTime: Duration?
  /// Who waits for a new connection; nil when none is being made.
  var waiting: [Promise<Void>]?

  /// So long after it was looked for in vain it is looked for no more.
  static let searchLimit = Duration.seconds(60)
}

/// A connection is to take the place of one that broke.
package struct Resumption: Sendable {
  /// Whom the other side speaks for then; its own hello names another.
  let host: UInt64
  /// Settled when it has, or will not.
  let isOver = Promise<Void>()
}

/// An actor is gone for good.
private struct ActorGone: Error {
  let reason: RuntimeError
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
    let limit = ContinuousClock.now + liveness.timeout
    while true {
      let turn = Promise<Void>()
      switch state.withLock({ $0.way(to: id.host, turn) }) {
      case .take(let peer):
        guard peer.hasEnded else { return peer }
        // It is about to be forgotten.
        _ = await peer.waitUntilEnded()
      case .wait: try await wait(turn, until: limit, for: id)
      case .connect(let backend, let key):
        defer {
          state.withLock { $0.endConnecting(to: id.host) }.forEach { $0.settle(.success(())) }
        }
        return try await find(id, at: backend, key: key, until: limit)
      case .gone:
        if state.withLock({ $0.router.upstream != nil && !$0.met.contains(id.host) }) {
          throw RuntimeError(.unknownTarget, Self.noCallsBetweenWorkers)
        }
        throw RuntimeError(
          .workerLost,
          "The connection to actor \(id) has ended, and with it the actor: spawn it again.")
      }
    }
  }

  /// A reference to an actor that a third process has spawned is good for that one alone.
  static let noCallsBetweenWorkers =
    "Workers of one client call no actors of each other: send mail, or ask through the client."

  /// Waits for another caller's search.
  private func wait(
    _ turn: Promise<Void>, until limit: ContinuousClock.Instant, for id: ByzActorID
  ) async throws {
    guard let deadline = CallDeadline.current, deadline < limit else {
      return try await turn.value(until: limit, else: notFound(id, nil))
    }
    try await turn.value(
      until: deadline, else: RuntimeError(.deadlineExceeded, "The actor was not found in time."))
  }

  /// Connects again to where an actor is kept, over and over until the limit. Only one that the other side does not know is forgotten
  /// then, and one that has not been found for long.
  private func find(
    _ id: ByzActorID, at backend: any LinkBackend, key: UInt64,
    until limit: ContinuousClock.Instant
  ) async throws -> Peer {
    let last = Monitor<(any Error)?>(nil)
    do {
      return try await withDeadline(max(.zero, limit - .now)) { [self] in
        var pause = Duration.milliseconds(50)
        while true {
          do {
            return try await resume(id, at: backend, key: key)
          } catch let error as ActorGone {
            throw error
          } catch {
            // Also when the time is over: it says why.
            if !(error is CancellationError) { last.withLock { $0 = error } }
            try Task.checkCancellation()
          }
          // Not a poll: a network that broke one connection may break the next, and nothing else tells when it does not.
          try await Task.sleep(for: pause)
          pause = min(pause * 2, .seconds(1))
        }
      }
    } catch {
      try Task.checkCancellation()
      if let gone = error as? ActorGone {
        state.withLock { $0.spawning[id.host]?.backend = nil }
        throw RuntimeError(
          .workerLost,
          """
          The connection to actor \(id) broke, and the actor is gone: spawn it again. \
          \(gone.reason.message)
          """, cause: gone.reason)
      }
      if let timeLeft = CallDeadline.timeLeft, timeLeft <= .zero { throw error }
      state.withLock { $0.hasSearchedInVain(for: id.host) }
      throw notFound(id, last.withLock { $0 } ?? error)
    }
  }

  private func notFound(_ id: ByzActorID, _ cause: (any Error)?) -> RuntimeError {
    let detail = cause.map { " \(($0 as? RuntimeError)?.message ?? "\($0)")" } ?? ""
    return RuntimeError(
      .workerLost,
      """
      The connection to actor \(id) broke, and there was no way back within \
      \(liveness.timeout).\(detail)
      """, cause: cause)
  }

  /// - Throws: ``ActorGone``; what connecting throws, which may pass.
  private func resume(
    _ id: ByzActorID, at backend: any LinkBackend, key: UInt64
  ) async throws -> Peer {
    let attempt = state.withLock { state in
      state.spawning[id.host]?.attempts += 1
      return state.spawning[id.host]?.attempts ?? 0
    }
    try checkWanted(id)
    let resumption = Resumption(host: id.host)
    let peer: Peer
    do {
      peer = try await open(backend, named: "actor", as: resumption)
    } catch {
      resumption.isOver.settle(.success(()))
      throw error
    }
    do {
      // Before anything waits for the calls that wait for it.
      defer { resumption.isOver.settle(.success(())) }
      try checkWanted(id)
      _ = try await withTaskCancellationHandler {
        try await call(peer, .resume(key: key, attempt: attempt))
      } onCancel: {
        // A call waits for its answer though it is cancelled; the next caller who looks for the actor need not.
        peer.link.close(RuntimeError(.workerLost, "Who looked for the actor gave up."))
      }
      // The answer may have come before the connection was closed.
      try Task.checkCancellation()
      try checkWanted(id)
      try adopt(peer, as: id.host, at: backend.dialAddress)
      try checkWanted(id)
      return peer
    } catch let error as ActorGone {
      await peer.close()
      throw error
    } catch {
      // Not by saying goodbye: the other side may have heard the key, and keeps the actor then.
      peer.link.close(RuntimeError(.workerLost, "The actor was not found in time."))
      guard let error = error as? RuntimeError, error.code != .workerLost,
        error.code != .deadlineExceeded
      else {
        // What closing it here makes of the call says less than what went wrong before.
        try Task.checkCancellation()
        throw error
      }
      throw ActorGone(reason: error)
    }
  }

  /// Throws when nobody wants to find an actor any more: it was stopped, or the system was.
  private func checkWanted(_ id: ByzActorID) throws {
    let isWanted = state.withLock { $0.spawning[id.host] != nil && !$0.router.isStopped }
    if !isWanted { throw ActorGone(reason: RuntimeError(.stopped, "It was stopped.")) }
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

  fileprivate mutating func hasSearchedInVain(for host: UInt64) {
    let first = spawning[host]?.failureTime ?? Alarm.now
    spawning[host]?.failureTime = first
    if Alarm.now - first > SpawningConnection.searchLimit { spawning[host]?.backend = nil }
  }

  /// The connection to a process has ended: for this reason if it broke.
  mutating func ended(_ host: UInt64, _ reason: RuntimeError) {
    spawning[host]?.failureTime = nil
    // Who says goodbye is not to be connected to again.
    if reason.code == .stopped { spawning[host]?.backend = nil }
    if spawning[host]?.backend == nil, spawning[host]?.waiting == nil { spawning[host] = nil }
  }
}

extension Promise where Value == Void {
  /// Waits for it; settles it where that takes too long, so it must be the caller's alone.
  func value(
    until deadline: ContinuousClock.Instant?, else error: RuntimeError
  ) async throws {
    let end = deadline.map { deadline in
      Deadline(after: deadline - .now) { self.settle(.failure(error)) }
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
