internal import ByzTensor
public import Distributed

// What the compiler's code asks of an actor system.

extension ByzActorSystem {
  /// The actor itself if it lives in this process, else nil: a stand-in is made then.
  public func resolve<Act>(id: ByzActorID, as actorType: Act.Type) throws -> Act?
  where Act: DistributedActor, Act.ID == ByzActorID {
    guard id.host == host else { return nil }
    guard let actor = state.withLock({ $0.actors[id.number]?.actor }) else {
      throw RuntimeError(.unknownTarget, "There is no actor \(id) here any more.")
    }
    guard let actor = actor as? Act else {
      throw RuntimeError(.unknownTarget, "Actor \(id) is not a \(actorType).")
    }
    return actor
  }

  /// A name for a new actor of this process, and a thread for it.
  public func assignID<Act>(_ actorType: Act.Type) -> ByzActorID
  where Act: DistributedActor, Act.ID == ByzActorID {
    // Drawn at random: who was not given the number cannot name the actor.
    let number = UInt64.random(in: 1 ... .max)
    let processor = Self.processor?.withLock { processor in
      defer { processor = nil }
      return processor
    }
    let executor = ThreadExecutor(name: "\(actorType)", processor: processor ?? nil)
    state.withLock { $0.actors[number] = Entry(executor: executor) }
    return ByzActorID(host: host, number: number)
  }

  /// The actor is complete.
  public func actorReady<Act>(_ actor: Act) where Act: DistributedActor, Act.ID == ByzActorID {
    state.withLock { $0.actors[actor.id.number]?.actor = actor }
  }

  /// The actor is gone: its thread ends.
  public func resignID(_ id: ByzActorID) {
    let entry = state.withLock { $0.actors.removeValue(forKey: id.number) }
    entry?.executor.finish()
  }

  /// Collects what a call takes with it.
  public func makeInvocationEncoder() -> ByzInvocationEncoder { ByzInvocationEncoder() }

  /// Calls a method that returns something, in another process.
  public func remoteCall<Act, Err, Res>(
    on actor: Act, target: RemoteCallTarget, invocation: inout ByzInvocationEncoder,
    throwing: Err.Type, returning: Res.Type
  ) async throws -> Res
  where Act: DistributedActor, Act.ID == ByzActorID, Err: Error, Res: Codable {
    let answer = try await invoke(actor.id, target, invocation)
    return try decoder(answer.segments).decode(Res.self, from: answer.value)
  }

  /// Calls a method that returns nothing, in another process.
  public func remoteCallVoid<Act, Err>(
    on actor: Act, target: RemoteCallTarget, invocation: inout ByzInvocationEncoder,
    throwing: Err.Type
  ) async throws where Act: DistributedActor, Act.ID == ByzActorID, Err: Error {
    _ = try await invoke(actor.id, target, invocation)
  }

  private func invoke(
    _ id: ByzActorID, _ target: RemoteCallTarget, _ invocation: ByzInvocationEncoder
  ) async throws -> Answer {
    let peer = try await peer(of: id)
    let request = Service.invoke(
      actor: id.number, target: target.identifier, substitutions: invocation.substitutions,
      arguments: invocation.arguments)
    return try await call(peer, request, segments: invocation.encoder.segments)
  }

  /// Where the actor runs.
  func executor(of id: ByzActorID) -> ThreadExecutor {
    // An actor that is there has its entry; for the moment of its end there is another thread.
    state.withLock { $0.actors[id.number]?.executor } ?? .orphanage
  }

  /// The thread of an actor that lives here.
  func thread(ofActor number: UInt64) -> ThreadExecutor? {
    state.withLock { $0.actors[number]?.executor }
  }

  // MARK: - Calls

  struct Answer {
    let value: WireValue
    let segments: [Segment]
  }

  /// Asks another process for something, within the task's deadline.
  func call(_ peer: Peer, _ request: Service, segments: [Segment] = []) async throws -> Answer {
    try answer(try await exchange(peer, request, segments: segments), of: peer)
  }

  /// What a peer's answer says.
  ///
  /// - Throws: what it failed with there.
  func answer(_ message: Message, of peer: Peer) throws -> Answer {
    let value = try message.result(registry: registry, limits: peer.link.limits)
    return Answer(value: value, segments: message.segments)
  }

  /// Asks a peer.
  ///
  /// - Returns: its answer, which may be a failure.
  /// - Throws: why there is none.
  func exchange(_ peer: Peer, _ request: Service, segments: [Segment]) async throws -> Message {
    let timeLeft = CallDeadline.timeLeft
    if let timeLeft, timeLeft <= .zero {
      throw RuntimeError(.deadlineExceeded, "The time for the call is over before it began.")
    }
    return try await peer.call(
      body: request.value.serialized(), segments: segments, timeLeft: timeLeft)
  }

  func decoder(_ segments: [Segment]) -> WireDecoder {
    WireDecoder(segments: segments, userInfo: [.actorSystemKey: self])
  }
}
