package import ByzTensor
import Distributed

/// Carries out what the other side of one connection asks for: only with types of the registry, and until the connection ends.
package final class WorkerHost: CallServer {
  private let hosting: Monitor<Hosting>
  /// Whether the other side may make actors and run subtasks here, or only call actors whose references it was given.
  private let isWorker: Bool
  /// Where subtasks run.
  private let thread = ThreadExecutor(name: "subtasks")
  private let kept = Monitor(KeptValues())
  /// How many introductions are waited for, also by calls that were cancelled.
  private let meetings = Monitor(0)
  /// Who is at the other end, if it is another worker of the same client.
  private let sibling: Monitor<Sibling?>
  /// Whose place this connection takes, if it does.
  private let resumption: Resumption?

  private struct Hosting: Sendable {
    var household: Household
    /// How many actors are being made.
    var reserved = 0
    /// Settled when a client that has come again has what was made for it; nil when none has come.
    var resuming: Promise<Void>?
    /// Whether the connection has ended.
    var isOver = false
  }

  /// - Parameters:
  ///   - sibling: who is at the other end, if it is another worker of the same client.
  ///   - resumption: whose place this connection takes, if it does.
  package init(
    system: ByzActorSystem, isWorker: Bool = false, sibling: UInt64? = nil,
    resumption: Resumption? = nil
  ) {
    hosting = Monitor(Hosting(household: Household(system: system)))
    self.isWorker = isWorker
    self.sibling = Monitor(sibling.map { Sibling(system: system, host: $0) })
    self.resumption = resumption
  }

  private var system: ByzActorSystem { hosting.withLock { $0.household.system } }

  /// The connection has ended, so nothing more is made for it.
  ///
  /// - Returns: what was.
  func leave() async -> Household {
    kept.withLock { $0 = KeptValues() }
    let resuming = hosting.withLock { hosting in
      hosting.isOver = true
      return hosting.resuming
    }
    // What comes from an earlier connection must not be lost on the way.
    _ = await resuming?.result
    return hosting.withLock { hosting in
      defer { (hosting.household.actors, hosting.household.claim) = ([], nil) }
      return hosting.household
    }
  }

  /// Waits for the subtask that runs, and runs no more.
  func stopSubtasks() async { await thread.stop() }

  /// As a ``WorkerSession`` does at the end of its connection, for those who serve without one.
  package func connectionEnded() async {
    await leave().release()
    await stopSubtasks()
  }

  /// The thread of the actor, or of the subtasks: the way over Swift's own threads, and back to them with the answer, would cost
  /// more than most calls.
  package func executor(for call: Message) -> (any TaskExecutor)? {
    switch Service.Destination(ofBody: call.body) {
    case .actor(let number): system.thread(ofActor: number)
    case .subtasks: isWorker ? thread : nil
    case nil: nil
    }
  }

  package func serve(_ call: Message, from peer: Peer) async -> Message {
    do {
      return try await answer(
        Service(WireValue(parsing: call.body, limits: peer.link.limits)), call, peer)
    } catch {
      return .failure(error, registry: system.registry)
    }
  }

  private func reserveActor(_ most: Int) throws {
    try hosting.withLock { hosting in
      guard hosting.household.actors.count + hosting.reserved < most else {
        throw RuntimeError(
          .limitExceeded, "A peer may have \(most) actors at a time here: WireLimits.actors.")
      }
      guard hosting.resuming == nil else { throw SubtaskRequest.malformed }
      hosting.reserved += 1
    }
  }

  /// Makes an actor, which is kept under the key, if there is one, when the connection breaks.
  private func spawn(
    _ type: String, _ arguments: WireValue, _ key: UInt64?, _ segments: [Segment], for peer: Peer
  ) async throws -> UInt64 {
    try reserveActor(peer.link.limits.actors)
    let system = system
    let number: UInt64
    do {
      number = try await system.spawnHere(type, arguments, segments)
    } catch {
      hosting.withLock { $0.reserved -= 1 }
      throw error
    }
    var isKept = false
    // Its key was refused, or the connection has ended meanwhile.
    defer { if !isKept { system.release(number) } }
    isKept = try hosting.withLock { hosting in
      hosting.reserved -= 1
      guard !hosting.isOver else { return false }
      // One key for each connection: the first. The lobby does not come back here.
      if let key, let lobby = system.lobby, lobby.keepsClients, hosting.household.claim == nil {
        hosting.household.claim = try lobby.expectReturn(of: peer, under: key)
      }
      hosting.household.actors.insert(number)
      return true
    }
    return number
  }

  /// Takes over what was made for a connection that broke, for one for which nothing was made.
  private func resume(_ key: UInt64, _ attempt: UInt64, for peer: Peer) async throws {
    guard let client = peer.hello?.host else { throw SubtaskRequest.malformed }
    let done = Promise<Void>()
    let lobby = try hosting.withLock { hosting in
      guard isWorker, !hosting.isOver, hosting.resuming == nil, hosting.reserved == 0,
        hosting.household.actors.isEmpty, hosting.household.claim == nil,
        let lobby = hosting.household.system.lobby
      else { throw SubtaskRequest.malformed }
      hosting.resuming = done
      return lobby
    }
    // The end of this connection waits for it.
    defer {
      hosting.withLock { $0.resuming = nil }
      done.settle(.success(()))
    }
    let household = try await lobby.admit(peer, returning: key, attempt: attempt)
    hosting.withLock { $0.household = household }
    household.system.state.withLock { $0.router.comeBack(over: peer) }
    try household.system.adopt(peer, as: client)
  }

  private func answer(_ service: Service, _ call: Message, _ peer: Peer) async throws -> Message {
    switch service {
    case .invoke(let actor, let target, let substitutions, let arguments):
      guard sibling.withLock({ $0 == nil }) else {
        throw RuntimeError(.unknownTarget, ByzActorSystem.noCallsBetweenWorkers)
      }
      return try await system.perform(
        target, on: actor, substitutions: substitutions, arguments: arguments,
        segments: call.segments)
    case .put(let host, let mailbox, let sender, let message):
      guard let other = resumption?.host ?? peer.hello?.host, !mailbox.isEmpty else {
        throw SubtaskRequest.malformed
      }
      let system = system
      let address = MailboxAddress(host: host, name: mailbox)
      if let sibling = sibling.withLock({ $0 }) {
        try await sibling.system.accept(message, call.segments, from: sibling.host, to: address)
      } else {
        // A worker that takes the way through the client has lost its own, or knows of none.
        if isWorker, sender != other { await system.endConnections(with: sender) }
        // Whoever started this process speaks for others; everybody else for himself only.
        try await system.pass(
          message, call.segments, from: isWorker ? sender : other, to: address)
      }
      return Message(.reply, body: WireValue.null.serialized())
    case .meet(let host, let lost):
      guard let other = resumption?.host ?? peer.hello?.host, !isWorker else {
        throw SubtaskRequest.malformed
      }
      // The worker knows that it was found before the client does.
      _ = await resumption?.isOver.result
      try meetings.withLock { meetings in
        guard meetings < peer.link.limits.calls else {
          throw RuntimeError(
            .limitExceeded,
            "A peer may wait for \(peer.link.limits.calls) introductions: WireLimits.calls.")
        }
        meetings += 1
      }
      // In a task of its own: others may wait for the same two, and have more time.
      let introduced = Promise<Bool?>()
      Task.detached { [system, meetings] in
        let areConnected = await system.introduce(other, to: host, after: lost)
        meetings.withLock { $0 -= 1 }
        introduced.settle(.success(areConnected))
      }
      let areConnected = try await withTaskCancellationHandler {
        try await introduced.result.get()
      } onCancel: {
        introduced.settle(.failure(CancellationError()))
      }
      return Message(.reply, body: (areConnected.map(WireValue.bool) ?? .null).serialized())
    case .join(let host, let ticket, let meeting):
      guard isWorker else { throw SubtaskRequest.malformed }
      try await system.meet(host, ticket: ticket, meeting)
      return Message(.reply, body: WireValue.null.serialized())
    case .present(let ticket):
      guard isWorker, let lobby = system.lobby else { throw SubtaskRequest.malformed }
      let found = try lobby.admit(ticket)
      sibling.withLock { $0 = found }
      try found.system.adopt(peer, as: found.host, by: ticket)
      return Message(.reply, body: WireValue.null.serialized())
    case .resume(let key, let attempt):
      try await resume(key, attempt, for: peer)
      return Message(.reply, body: WireValue.null.serialized())
    case .spawn, .subtask, .keep:
      guard isWorker else {
        throw RuntimeError(.unknownTarget, "This process takes no work from others.")
      }
    }
    switch service {
    case .spawn(let type, let arguments, let key):
      let number = try await spawn(type, arguments, key, call.segments, for: peer)
      return Message(.reply, body: WireValue.unsigned(number).serialized())
    case .keep(let set, let index, let type, let value):
      guard let type = system.registry.values[type] else {
        throw RuntimeError(.unknownTarget, "\(type) is not registered: add it to values.")
      }
      let resident = try system.decoder(call.segments).decode(type, from: value)
      try kept.withLock {
        try $0.insert(
          resident, byteCount: call.byteCount, set: set, index: index, limits: peer.link.limits)
      }
      return Message(.reply, body: WireValue.null.serialized())
    case .subtask(let value):
      let request = try SubtaskRequest(value)
      guard let type = system.registry.subtasks[request.type] else {
        throw RuntimeError(.unknownTarget, "\(request.type) is not registered: add it to subtasks.")
      }
      let residents = try kept.withLock { try $0.values(request.residents) }
      try thread.start()
      do {
        return try await withTaskExecutorPreference(thread) {
          try Task.checkCancellation()
          let answer = try request.run(
            type, residents: residents, segments: call.segments, system: system,
            answeringOn: peer.link)
          // One that heeds its cancellation may return what it has, which may not be all.
          try Task.checkCancellation()
          return answer
        }
      } catch is CancellationError
        // A moment more: the connection, which cancels, took the time a moment before.
        where CallDeadline.timeLeft.map({ $0 <= .milliseconds(1) }) == true
      {
        throw RuntimeError(.deadlineExceeded, "The subtask took longer than its time.")
      }
    case .invoke, .put, .meet, .join, .present, .resume: preconditionFailure("Answered above.")
    }
  }
}

extension ByzActorSystem {
  /// Makes an actor for another process and keeps it.
  func spawnHere(
    _ type: String, _ arguments: WireValue, _ segments: [Segment]
  ) async throws -> UInt64 {
    guard let type = registry.actors[type] else {
      throw RuntimeError(.unknownTarget, "\(type) is not registered here: add it to actors.")
    }
    return try await make(type, arguments, segments)
  }

  private func make<A: RemoteActor>(
    _ type: A.Type, _ value: WireValue, _ segments: [Segment]
  ) async throws -> UInt64 {
    let arguments = try decoder(segments).decode(A.Arguments.self, from: value)
    let actor = try await A(arguments, actorSystem: self)
    try executor(of: actor.id).start()
    state.withLock { $0.actors[actor.id.number]?.kept = actor }
    return actor.id.number
  }

  /// Lets go of an actor that was made for another process.
  func release(_ number: UInt64) {
    let actor = state.withLock { state in
      defer { state.actors[number]?.kept = nil }
      return state.actors[number]?.kept
    }
    // It ends here, outside of the lock, which it takes to sign off.
    withExtendedLifetime(actor) {}
  }

  /// Calls a method of an actor of this process for another one.
  package func perform(
    _ target: String, on number: UInt64, substitutions: [String], arguments: [WireValue],
    segments: [Segment]
  ) async throws -> Message {
    let found = state.withLock { state -> (any Sendable)? in
      let entry = state.actors[number]
      return entry?.kept ?? entry?.actor
    }
    guard let actor = found as? any RemoteActor else {
      throw RuntimeError(.unknownTarget, "There is no actor \(number) here any more.")
    }
    let type = type(of: actor)
    guard try method(target, of: type).accepts(substitutions) else {
      throw RuntimeError(
        .unknownTarget,
        "Other types stand for the generic parameters than \(Registry.wireName(of: type)) has.")
    }
    var decoder = try ByzInvocationDecoder(
      decoder: decoder(segments), substitutions: substitutions, arguments: arguments,
      registry: registry)
    let handler = ByzResultHandler(registry: registry)
    do {
      try await execute(target, on: actor, &decoder, handler)
    } catch let error as ExecuteDistributedTargetError {
      throw RuntimeError(
        .unknownTarget, "\(Registry.wireName(of: type)) has no such method.", cause: error)
    }
    return handler.answer
  }

  /// - Throws: ``RuntimeError/Code/unknownTarget`` when the type is not registered, or has no such method.
  private func method(
    _ target: String, of type: any RemoteActor.Type
  ) throws(RuntimeError) -> DistributedTarget {
    if let known = targets.withLock({ $0[target, type] }) { return known }
    let name = Registry.wireName(of: type)
    guard registry.actors[name] != nil else {
      throw RuntimeError(.unknownTarget, "\(name) is not registered here: add it to actors.")
    }
    guard DistributedTarget.exists(target), let method = DistributedTarget(target, of: name) else {
      throw RuntimeError(.unknownTarget, "\(name) has no method \(target.prefix(256)).")
    }
    targets.withLock { $0[target, type] = method }
    return method
  }

  private func execute<A: RemoteActor>(
    _ target: String, on actor: A, _ decoder: inout ByzInvocationDecoder,
    _ handler: ByzResultHandler
  ) async throws {
    try await executeDistributedTarget(
      on: actor, target: RemoteCallTarget(target), invocationDecoder: &decoder, handler: handler)
  }
}
