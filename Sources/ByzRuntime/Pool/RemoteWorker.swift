/// A worker in another process: subtasks travel to it with the part of their operands that they touch.
package final class RemoteWorker: Worker {
  package let name: String
  private let peer: Peer
  /// The most bytes that a message to it may have.
  package var longestMessage: Int { peer.longestMessage }
  private let system: ByzActorSystem
  /// What the other side has been sent to keep.
  private let sent = Monitor(Set<SubtaskRequest.Resident>())
  private let givenUp = Monitor(false)

  package init(name: String, peer: Peer, system: ByzActorSystem) {
    self.name = name
    self.peer = peer
    self.system = system
  }

  package var isStarted: Bool { true }

  package var endsOverdueSubtasks: Bool { true }

  package func run<S: Subtask>(_ subtask: S, operands: Operands) async throws -> S.Output {
    try await run(subtask, operands: operands, timeout: nil)
  }

  package func run<S: Subtask>(
    _ subtask: S, operands: Operands, timeout: Duration?
  ) async throws -> S.Output {
    guard let timeout else { return try await runOnce(subtask, operands) }
    let deadline = CallDeadline.after(timeout)
    do {
      return try await CallDeadline.$current.withValue(
        min(deadline, CallDeadline.current ?? deadline)
      ) {
        try await runOnce(subtask, operands)
      }
    } catch
      where !Task.isCancelled && .now >= deadline
      && (error as? RuntimeError)?.code != .workerLost
    {
      throw RuntimeError(
        .deadlineExceeded, "A subtask on \(name) took longer than \(timeout).", cause: error)
    }
  }

  private func runOnce<S: Subtask>(_ subtask: S, _ operands: Operands) async throws -> S.Output {
    do {
      return try await ask(subtask, operands)
    } catch let error as RuntimeError where error.code == .residentMissing {
      // The other side has made room for other lists.
      sent.withLock { $0 = $0.filter { $0.set != operands.residents.id } }
      return try await ask(subtask, operands)
    }
  }

  private func ask<S: Subtask>(_ subtask: S, _ operands: Operands) async throws -> S.Output {
    let residents = (subtask as? any FootprintSubtask)?.residents ?? operands.residents.indices
    for index in residents { try await keep(index, of: operands.residents) }
    let (value, segments) = try SubtaskRequest.encode(subtask, operands)
    // By another thread than the caller's, who may have other workers to begin with.
    if peer.link.copies(segments) { await Task.yield() }
    let message = try await givingUpWhenCancelled {
      try await system.exchange(peer, .subtask(value), segments: segments)
    }
    let answer = try SubtaskLoss.telling { try system.answer(message, of: peer) }
    return try SubtaskRequest.finish(subtask, operands, answer: answer, system: system)
  }

  /// Once its task is cancelled, a subtask in a child has as long to end as the process may be silent: else the process is ended, since
  /// what it goes on with is of use to nobody. On a host it would go on all the same, and holds its worker until it ends.
  private func givingUpWhenCancelled<Answer>(
    _ body: () async throws -> Answer
  ) async throws -> Answer {
    guard peer.link.endsOther else { return try await body() }
    let limit = system.liveness.timeout
    let isOver = Monitor(false)
    let patience = Deadline(after: limit) { [weak self] in
      // Ending a process takes a while, and the thread that keeps the time has others waiting.
      Task.detached {
        guard !isOver.withLock({ $0 }) else { return }
        self?.giveUp("did not end a subtask within \(limit) after it was cancelled")
      }
    }
    defer {
      isOver.withLock { $0 = true }
      patience.clear()
    }
    return try await withTaskCancellationHandler {
      try await body()
    } onCancel: {
      patience.set()
    }
  }

  private func keep(_ index: Int, of residents: Residents) async throws {
    let key = SubtaskRequest.Resident(set: residents.id, index: index)
    guard !sent.withLock({ $0.contains(key) }) else { return }
    guard let resident = residents[index] else {
      throw RuntimeError(.unknownTarget, "There is no resident \(index).")
    }
    guard let value = resident as? any Encodable else {
      throw RuntimeError(
        .unknownTarget,
        "\(type(of: resident)) lives with the workers of \(name), so it must be Codable and in the registry."
      )
    }
    var encoder = WireEncoder()
    let encoded = try encoder.encode(value)
    let request = Service.keep(
      set: residents.id, index: UInt64(index), type: try Registry.name(of: type(of: resident)),
      value: encoded)
    if peer.link.copies(encoder.segments) { await Task.yield() }
    _ = try await system.call(peer, request, segments: encoder.segments)
    sent.withLock { _ = $0.insert(key) }
  }

  /// For as long as a process may be silent: what has not ended by then is taken to hang, and the worker is given up.
  package func waitUntilFree() async {
    do {
      // No subtask: it is refused, but not before the one ahead of it is over.
      _ = try await CallDeadline.$current.withValue(CallDeadline.after(system.liveness.timeout)) {
        try await system.call(peer, .subtask(.null))
      }
    } catch let error as RuntimeError where error.code == .malformedMessage && !peer.hasEnded {
      return
    } catch let error as RuntimeError where error.code == .deadlineExceeded {
      giveUp("did not end an overdue subtask within \(system.liveness.timeout)")
    } catch {
      // It is lost, ends anyway, or the pool's own task was cancelled.
      giveUp("had an overdue subtask, and was waited for no longer: \(error)")
    }
    // Before that the pool would take it for one that lives.
    _ = await peer.waitUntilEnded()
  }

  package func whenLost(_ body: @escaping @Sendable () -> Void) {
    peer.whenEnded { _ in body() }
  }

  /// Whether its process was ended because of what it went on with, and was not lost by itself: whoever starts another in its place has
  /// no reason to hesitate.
  var isGivenUp: Bool { givenUp.withLock { $0 } }

  /// Ends the connection of a worker that goes on with what nobody waits for.
  ///
  /// - Parameter reason: what the worker did or did not do.
  func giveUp(_ reason: String) {
    // Lost before, it was lost by itself; and on a host each would leave one more thread behind.
    if peer.link.endsOther, !peer.hasEnded { givenUp.withLock { $0 = true } }
    peer.link.close(RuntimeError(.workerLost, "\(name) \(reason)."))
  }

  package func stop() async { await peer.close(within: system.liveness.timeout) }
}

extension LinkBackend {
  /// Opens a connection and waits until the other side has said hello.
  public func makeWorker(named name: String) async throws -> any Worker {
    try await LinkOptions().makeWorker(self, named: name, epoch: 0)
  }
}

/// What a pool's connections have in common.
package struct LinkOptions: Sendable {
  /// The errors that arrive as what they are.
  package var registry = Registry()
  /// When a silent process counts as lost.
  package var liveness = Liveness()

  package init(registry: Registry = Registry(), liveness: Liveness = Liveness()) {
    self.registry = registry
    self.liveness = liveness
  }

  /// A worker of a backend; each connection has an actor system of its own.
  func makeWorker(
    _ backend: any WorkerBackend, named name: String, epoch: UInt32
  ) async throws -> any Worker {
    guard let backend = backend as? any LinkBackend else {
      return try await backend.makeWorker(named: name, epoch: epoch)
    }
    let system = ByzActorSystem(registry: registry, liveness: liveness)
    return RemoteWorker(
      name: name, peer: try await system.connect(to: backend, named: name), system: system)
  }
}
