internal import ByzTensor
public import Distributed

/// Spawns distributed actors on threads, in other processes and on other machines, and carries calls to them.
///
/// ```swift
/// try await withActorSystem(Registry(actors: [Calculator.self])) { system in
///   let calculator = try await system.spawn(Calculator.self, "calc", on: .process)
///   print(try await calculator.add(10, 20))
/// }
/// ```
///
/// Calls to one actor run one after another, as Swift actors' do. A call is carried out at most once: when the process of the actor
/// is lost before it has answered, the call throws ``RuntimeError/Code/workerLost`` and may or may not have been carried out.
public final class ByzActorSystem: DistributedActorSystem {
  /// Names an actor.
  public typealias ActorID = ByzActorID
  /// What arguments and results must be.
  public typealias SerializationRequirement = any Codable
  /// Collects what a call takes with it.
  public typealias InvocationEncoder = ByzInvocationEncoder
  /// Hands out what a call brought.
  public typealias InvocationDecoder = ByzInvocationDecoder
  /// Takes what a method returned.
  public typealias ResultHandler = ByzResultHandler

  /// The types that other processes may name.
  public let registry: Registry
  /// Names this process on the wire.
  package let host: UInt64
  package let liveness: Liveness
  private let requiresSameBits: Bool
  /// How long each step of bringing two workers together may take.
  let introductionLimit: Duration
  /// Where other workers of this host and of others are found; nil in a process that serves nobody who comes.
  let lobby: Lobby?
  let state: Monitor<State>
  /// The methods that other processes have called.
  let targets = Monitor(CheckedTargets())

  struct State: Sendable {
    /// The actors of this process: those that others spawned are kept here, the rest by their owners.
    var actors: [UInt64: Entry] = [:]
    /// The connections, and the ways that mail takes.
    var router: RouterState<Peer>
    /// The processes in which this one has spawned actors, each over a connection of its own.
    var spawning: [UInt64: SpawningConnection] = [:]
    /// All processes that this one has been connected to, but for other workers of its client. Who is new and has the number of one of
    /// them is an impostor.
    var met: Set<UInt64> = []
    var mailboxes: [String: MailboxSlot] = [:]
    /// Who waits for the client's answer, by the other worker that it was asked about.
    var questions: [UInt64: [Promise<Void>]] = [:]
    /// Settled with the outcomes of introductions, by their numbers.
    var introductions: [UInt64: Promise<Bool>] = [:]
    var mailPassedOn = 0
  }

  /// What is known of an actor. A class, since to copy a weak reference takes longer than to follow one.
  ///
  /// `@unchecked Sendable`: what changes is only read and written under the system's lock.
  final class Entry: @unchecked Sendable {
    let executor: ThreadExecutor
    weak var actor: (any DistributedActor)?
    /// Keeps an actor that another process spawned, for whose calls it is looked up here.
    var kept: (any RemoteActor)?

    init(executor: ThreadExecutor) { self.executor = executor }
  }

  /// A system of its own; `withActorSystem` makes one and ends it.
  package init(
    registry: Registry, liveness: Liveness = Liveness(), requiresSameBits: Bool = false,
    lobby: Lobby? = nil, introductionLimit: Duration = .seconds(10)
  ) {
    self.lobby = lobby
    self.introductionLimit = introductionLimit
    self.registry = registry
    self.liveness = liveness
    self.requiresSameBits = requiresSameBits
    host = .random(in: 1 ... .max)
    state = Monitor(State(router: RouterState(host: host)))
  }

  /// Where the thread of the actor that is being made is kept, not those of actors that it makes.
  @TaskLocal static var processor: Monitor<Int?>?

  /// Makes an actor where `backend` says.
  ///
  /// When the connection to an actor in another process breaks, by a crash or on the network, the calls under way throw
  /// ``RuntimeError/Code/workerLost``: whether they were carried out nobody knows. An actor of a child process has ended with it. That
  /// of a host is kept there for a while (``WorkerServerOptions/returnLimit``), and the next call connects again, with
  /// back-off and for no longer than ``Liveness/timeout``: it finds the actor as the last calls left it, or throws `workerLost`. When the
  /// host has answered that the actor is gone, or nobody is found a minute after the first who looked, all later calls throw that at once;
  /// ``stop(_:)`` forgets it before. Mail to
  /// the actor's process looks for it in the same way; mail from there waits for nobody, and finds no way meanwhile.
  ///
  /// - Parameters:
  ///   - type: the actor's type; on another process or machine it must be in the registry of both sides.
  ///   - arguments: what it is made of.
  ///   - backend: `.thread`, `.process`, `.tcp("host:port")` or `.ucx("host:port")`.
  /// - Returns: the actor itself, or a stand-in that sends calls to it.
  /// - Throws: what the actor's initializer throws; `RuntimeError` when there is no such place, or it does not know the type.
  public func spawn<A: RemoteActor>(
    _ type: A.Type, _ arguments: A.Arguments, on backend: some WorkerBackend
  ) async throws -> A {
    if let threads = backend as? ThreadBackend {
      let processor = try threads.nextProcessor(for: "\(type)")
      let actor = try await Self.$processor.withValue(Monitor(processor)) {
        try await A(arguments, actorSystem: self)
      }
      try executor(of: actor.id).start()
      return actor
    }
    guard let backend = backend as? any LinkBackend else {
      throw RuntimeError(
        .invalidConfiguration, "The backend \(backend.name) makes workers, but no actors.")
    }
    let peer = try await connect(to: backend, named: "\(type)")
    do {
      guard let host = peer.hello?.host else { throw RuntimeError(.workerLost, "Nobody is there.") }
      let key = backend.dialAddress.map { _ in UInt64.random(in: 1 ... .max) }
      // Before the answer: from then on the connection may break, and the actor is kept.
      state.withLock { state in
        guard state.router.connection(to: host) === peer else { return }
        state.spawning[host] = SpawningConnection(
          backend: key.map { _ in backend }, key: key ?? 0)
      }
      var encoder = WireEncoder()
      let value = try encoder.encode(arguments)
      let request = Service.spawn(type: try Registry.name(of: type), arguments: value, key: key)
      let answer = try await call(peer, request, segments: encoder.segments)
      guard case .unsigned(let number) = answer.value else {
        throw RuntimeError(.malformedMessage, "\(peer.link.peerName) did not name the actor.")
      }
      let id = ByzActorID(host: host, number: number)
      state.withLock { $0.spawning[host]?.actor = id }
      return try A.resolve(id: id, using: self)
    } catch {
      if let host = peer.hello?.host { state.withLock { $0.spawning[host] = nil } }
      await peer.close()
      throw error
    }
  }

  /// Ends an actor that ``spawn(_:_:on:)`` made in another process, and the connection to it; its later calls throw. Calls under way
  /// on either side may end within five seconds, also when this is called in one that the actor has made; methods of this side that
  /// the actor has called are cancelled then, and waited for. For an actor
  /// on a thread, letting go of it is enough. An actor whose connection is broken at the moment ends when its host has kept it for long
  /// enough.
  public func stop<A: RemoteActor>(_ actor: A) async {
    let (connection, peer) = state.withLock { state in
      let host = actor.id.host
      guard state.spawning[host]?.actor == actor.id else {
        return (SpawningConnection?.none, Peer?.none)
      }
      return (state.spawning.removeValue(forKey: host), state.router.connection(to: host))
    }
    for turn in connection?.waiting ?? [] { turn.settle(.success(())) }
    await peer?.close()
  }

  /// The least that a message's body may take on one of the connections; nil without any.
  package var leastBodyLimit: Int? {
    // Outside of the lock, since each peer takes its own.
    let peers = state.withLock { $0.router.everyone }
    return peers.map { min($0.link.limits.body, $0.longestMessage - Frame.headerByteCount) }.min()
  }

  /// Ends every connection, every mailbox and every actor that others spawned here.
  package func stop() async {
    let (peers, kept) = state.withLock { state in
      let kept = state.actors.values.map(\.kept)
      for number in state.actors.keys { state.actors[number]?.kept = nil }
      return (state.router.stop(), kept)
    }
    await withDiscardingTaskGroup { group in
      for peer in peers { group.addTask { await peer.close() } }
      group.addTask { [self] in
        for peer in peers { _ = await peer.waitUntilEnded() }
        // Nothing more arrives, and what is still being served may wait for it. Outside of the lock, which each takes to give up
        // its name.
        for slot in state.withLock({ Array($0.mailboxes.values) }) { slot.close() }
      }
    }
    // The actors end here, outside of the lock: each takes it to sign off.
    withExtendedLifetime(kept) {}
  }

  /// A connection to a process of its own.
  package func connect(to backend: any LinkBackend, named name: String) async throws -> Peer {
    let peer = try await open(backend, named: name)
    guard let other = peer.hello else {
      throw RuntimeError(.workerLost, "\(peer.link.peerName) ended the connection.")
    }
    try adopt(peer, as: other.host, at: backend.dialAddress, isNew: true)
    return peer
  }

  /// A connection that has said hello.
  ///
  /// - Parameters:
  ///   - sibling: who is there, if it is another worker of the same client.
  ///   - resumption: whose place it is to take, if it is.
  func open(
    _ backend: any LinkBackend, named name: String, sibling: UInt64? = nil,
    as resumption: Resumption? = nil
  ) async throws -> Peer {
    do {
      return try await open(
        try await backend.openLink(named: name), backend.authenticator,
        isSameProgram: backend.isSameProgram, requiresSameBits: backend.requiresSameBits,
        sibling: sibling, as: resumption)
    } catch let error as RuntimeError where error.code == .workerLost && !backend.isSameProgram {
      // Who refuses a stranger does not tell them why.
      throw RuntimeError(
        .workerLost,
        """
        \(error.message) It had not introduced itself: it may want a token, or another one, or be \
        no worker.
        """, cause: error.cause)
    }
  }

  /// A connection over a link that has said hello.
  func open(
    _ link: any Link, _ authenticator: (any LinkAuthenticator)? = nil, isSameProgram: Bool,
    requiresSameBits: Bool = false, sibling: UInt64?, as resumption: Resumption? = nil
  ) async throws -> Peer {
    var hello = hello(namesBLAS: !isSameProgram)
    hello.requiresSameBits = hello.requiresSameBits || requiresSameBits
    let peer = Peer(
      link: link, server: WorkerHost(system: self, sibling: sibling, resumption: resumption),
      hello: hello, authenticator: authenticator, liveness: liveness)
    if let sibling {
      state.withLock { $0.router.opening(peer, to: sibling) }
      forget(peer, whenEndedAs: sibling)
    }
    try await peer.open()
    return peer
  }

  /// What this process says about itself.
  ///
  /// - Parameter namesBLAS: whether the other side may have another BLAS; finding out its name loads it.
  package func hello(namesBLAS: Bool) -> Hello {
    Hello(
      host: host, name: ProcessName.current, types: registry.versions,
      kernels: KernelVariant.selected.rawValue, blas: namesBLAS ? BLAS.identity ?? "" : "",
      requiresSameBits: requiresSameBits && namesBLAS)
  }

  /// Takes note of a connection, so that calls find it.
  ///
  /// - Parameters:
  ///   - address: where other workers reach this one.
  ///   - ticket: the introduction that led to the connection.
  ///   - isNew: whether nobody of that number may have been here before.
  /// - Throws: ``RuntimeError/Code/incompatiblePeer``, ``RuntimeError/Code/stopped``; the connection is closed then.
  package func adopt(
    _ peer: Peer, as host: UInt64, at address: String? = nil, by ticket: UInt64? = nil,
    isNew: Bool = false
  ) throws {
    let (isImpostor, isAccepted) = state.withLock { state in
      if isNew, state.met.contains(host) { return (true, false) }
      if ticket == nil { state.met.insert(host) }
      return (false, state.router.adopt(peer, as: host, at: address, by: ticket))
    }
    guard !isImpostor else {
      let reason = RuntimeError(
        .incompatiblePeer,
        "\(peer.link.peerName) has the number of another process, which only that one knows to be its own."
      )
      peer.link.close(reason)
      throw reason
    }
    guard isAccepted else {
      let reason = RuntimeError(
        .stopped, "The actor system has ended, or is connected to this process already.")
      peer.link.close(reason)
      throw reason
    }
    forget(peer, whenEndedAs: host)
  }

  private func forget(_ peer: Peer, whenEndedAs host: UInt64) {
    peer.whenEnded { [weak self, weak peer] reason in
      self?.state.withLock { state in
        guard let peer else { return }
        let isUsed = state.router.connection(to: host) === peer
        state.router.ended(peer, as: host)
        if isUsed { state.ended(host, reason) }
      }
    }
  }
}

/// Makes an actor system, hands it to `body`, and ends it and every process it started when `body` ends, however it ends.
///
/// - Parameters:
///   - registry: the actors that may be spawned elsewhere, and the errors that arrive as what they are.
///   - liveness: when a silent process counts as lost.
///   - isolation: the caller's, in which `body` runs.
///   - body: what the system is for.
public func withActorSystem<Result>(
  _ registry: Registry, liveness: Liveness = Liveness(),
  isolation: isolated (any Actor)? = #isolation,
  body: (ByzActorSystem) async throws -> Result
) async throws -> Result {
  let system = ByzActorSystem(registry: registry, liveness: liveness)
  let result: Result
  do {
    result = try await body(system)
  } catch {
    await system.stop()
    throw error
  }
  await system.stop()
  return result
}
