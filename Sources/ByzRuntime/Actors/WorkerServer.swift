internal import ByzTensor

/// What hosting workers takes beside an address.
public struct WorkerServerOptions: Sendable {
  /// When a silent client counts as lost, and what was made for it goes.
  public var liveness = Liveness()
  /// Whether clients are refused that would compute other bits: other kernels, or another BLAS.
  public var requiresSameBits = false
  /// How long calls that are running may take when the server ends; then they are cancelled, and their connections close. A subtask
  /// is waited for all the same, a method of an actor that ignores cancellation runs on. By default 20 seconds.
  public var drainLimit: Duration = .seconds(20)
  /// How long the actors of a client whose connection broke are kept for when it connects again; its calls are cancelled at once. By
  /// default 60 seconds; zero to keep none.
  public var returnLimit: Duration = .seconds(60)
  /// Is told what happens, on any thread, and must not block: for logs and metrics.
  public var observer: @Sendable (WorkerServerEvent) -> Void = { _ in }

  /// The defaults.
  public init() {}
}

/// What happens at a ``WorkerServer``.
public enum WorkerServerEvent: Sendable {
  /// Someone has connected; who it is turns out later.
  case connected(peer: String)
  /// A message has come: so many bytes of values and tensors.
  case received(byteCount: Int, isCall: Bool)
  /// A message has been handed to the connection.
  case sent(byteCount: Int)
  /// A connection has ended. If it broke, its actors are kept for ``WorkerServerOptions/returnLimit``; all else goes.
  case ended(peer: String, RuntimeError)
}

/// What a ``WorkerServer`` has done so far.
public struct WorkerServerTotals: Hashable, Codable, Sendable {
  /// Connections, those that were refused after a first message included.
  public var connections = 0
  /// Calls that came: subtasks, actors' methods, and what these take.
  public var calls = 0
  /// Bytes of values and tensors that came.
  public var bytesReceived = 0
  /// Bytes of values and tensors that were sent.
  public var bytesSent = 0
}

/// Listens, and serves whoever connects as a worker: `withWorkerServer` of a transport makes one.
///
/// Each connection has actors of its own, which go when it ends, or some time after it has broken
/// (``WorkerServerOptions/returnLimit``). When the scope's body ends, its task is cancelled or ``drain()`` is
/// called, nobody new is let in, clients are told to make no more calls, and those that are running may finish within
/// ``WorkerServerOptions/drainLimit``.
public final class WorkerServer: Sendable {
  /// Where it listens, with the port that was chosen: `tcp://127.0.0.1:29000`.
  public let address: String
  private let sessions: WorkerSessions

  fileprivate init(address: String, sessions: WorkerSessions) {
    self.address = address
    self.sessions = sessions
  }

  /// The connections there are.
  public var connectionCount: Int { sessions.state.withLock { $0.links.count } }

  /// The clients whose connections broke, and whose actors are kept until they connect again.
  public var absentClientCount: Int { sessions.lobby.absentClientCount }

  /// What it has done so far.
  public var totals: WorkerServerTotals { sessions.state.withLock { $0.totals } }

  /// Lets nobody new in, and every connection end when its running calls have.
  public func drain() { sessions.drain() }

  /// Returns when it drains, for whatever reason, or the calling task is cancelled: what a body does that has nothing else to do.
  public func waitUntilDraining() async { await sessions.waitUntilDraining() }
}

/// The connections of a ``WorkerServer``, whatever transport they come from.
package final class WorkerSessions: Sendable {
  private typealias Arrival = (link: any Link, authenticator: (any LinkAuthenticator)?)

  fileprivate struct State: Sendable {
    var links: [ObjectIdentifier: any Link] = [:]
    var totals = WorkerServerTotals()
    var isDraining = false
    var stopAccepting: (@Sendable () -> Void)?
    /// Those who wait until it drains.
    var waiting: [Promise<Void>] = []
  }

  private let registry: Registry
  private let options: WorkerServerOptions
  fileprivate let lobby: Lobby
  private let arrivals: AsyncStream<Arrival>
  private let door: AsyncStream<Arrival>.Continuation
  fileprivate let state = Monitor(State())

  /// - Parameter dial: the way to another server, at an address that a client has given.
  package init(
    registry: Registry, options: WorkerServerOptions,
    dial: @escaping @Sendable (String) throws -> any LinkBackend
  ) {
    self.registry = registry
    self.options = options
    lobby = Lobby(keepsClients: options.returnLimit > .zero, dial: dial)
    (arrivals, door) = AsyncStream.makeStream()
  }

  /// Takes a link that nobody has started, with the proof to ask for first.
  package func accept(_ link: any Link, _ authenticator: (any LinkAuthenticator)?) {
    if case .enqueued = door.yield((link, authenticator)) { return }
    link.close(RuntimeError(.stopped, "The server is ending."))
  }

  /// Serves while `body` runs, then drains.
  ///
  /// - Parameter stopAccepting: called once, when it begins to drain.
  package func run<Value>(
    at address: String, isolation: isolated (any Actor)? = #isolation,
    stopAccepting: (@Sendable () -> Void)? = nil, body: (WorkerServer) async throws -> Value
  ) async throws -> Value {
    state.withLock { $0.stopAccepting = stopAccepting }
    let server = WorkerServer(address: address, sessions: self)
    let result: Result<Value, any Error>
    do {
      async let served: Void = serve()
      result = await withTaskCancellationHandler {
        do {
          return .success(try await body(server))
        } catch {
          return .failure(error)
        }
      } onCancel: {
        drain()
      }
      drain()
      await served
    }
    Alarm.shared.set(self, at: nil)
    return try result.get()
  }

  private func serve() async {
    await withDiscardingTaskGroup { group in
      for await arrival in arrivals {
        group.addTask { await self.serve(arrival.link, arrival.authenticator) }
      }
      // A session that is cancelled drains.
      group.cancelAll()
    }
  }

  private func serve(_ link: any Link, _ authenticator: (any LinkAuthenticator)?) async {
    let key = ObjectIdentifier(link)
    observe(.connected(peer: link.peerName))
    state.withLock { $0.links[key] = link }
    let session = WorkerSession(
      ObservedLink(link) { self.observe($0) }, registry: registry, authenticator: authenticator,
      liveness: options.liveness, requiresSameBits: options.requiresSameBits, lobby: lobby)
    let reason = await session.serve()
    state.withLock { $0.links[key] = nil }
    observe(.ended(peer: link.peerName, reason))
    await session.end(reason, keeping: options.returnLimit)
  }

  private func observe(_ event: WorkerServerEvent) {
    state.withLock { state in
      switch event {
      case .connected: state.totals.connections += 1
      case .received(let byteCount, let isCall):
        state.totals.calls += isCall ? 1 : 0
        state.totals.bytesReceived += byteCount
      case .sent(let byteCount): state.totals.bytesSent += byteCount
      case .ended: break
      }
    }
    options.observer(event)
  }

  fileprivate func drain() {
    let begin = state.withLock {
      state -> (stop: (@Sendable () -> Void)?, waiting: [Promise<Void>])? in
      guard !state.isDraining else { return nil }
      state.isDraining = true
      defer { (state.stopAccepting, state.waiting) = (nil, []) }
      return (state.stopAccepting, state.waiting)
    }
    guard let begin else { return }
    begin.stop?()
    Alarm.shared.set(self, at: Alarm.now + options.drainLimit)
    door.finish()
    for promise in begin.waiting { promise.settle(.success(())) }
  }

  fileprivate func waitUntilDraining() async {
    let end = Promise<Void>()
    let isDraining = state.withLock { state in
      if !state.isDraining { state.waiting.append(end) }
      return state.isDraining
    }
    guard !isDraining else { return }
    await withTaskCancellationHandler {
      _ = await end.result
    } onCancel: {
      end.settle(.success(()))
    }
    state.withLock { $0.waiting.removeAll { $0 === end } }
  }
}

extension WorkerSessions: Alarm.Sleeper {
  /// The time to drain is over.
  package func wake() {
    for link in state.withLock({ Array($0.links.values) }) {
      link.close(RuntimeError(.stopped, "Calls did not end within \(options.drainLimit)."))
    }
  }
}

/// A link that tells what passes.
private final class ObservedLink: Link {
  private let link: any Link
  private let observe: @Sendable (WorkerServerEvent) -> Void

  init(_ link: any Link, observe: @escaping @Sendable (WorkerServerEvent) -> Void) {
    self.link = link
    self.observe = observe
  }

  var peerName: String { link.peerName }
  var limits: WireLimits { link.limits }
  var isFull: Bool { link.isFull }

  func start(_ receiver: any LinkReceiver) { link.start(Receiver(receiver, observe)) }

  func send(_ message: Message) {
    observe(.sent(byteCount: message.payloadByteCount))
    link.send(message)
  }

  func copies(_ segments: [Segment]) -> Bool { link.copies(segments) }
  func storage(toSend byteCount: Int) -> TensorStorage { link.storage(toSend: byteCount) }
  func waitUntilWritable() async throws { try await link.waitUntilWritable() }
  func close(_ reason: RuntimeError) { link.close(reason) }
  func closeWhenSent(_ reason: RuntimeError) { link.closeWhenSent(reason) }
  func authenticated() { link.authenticated() }

  private final class Receiver: LinkReceiver {
    private let receiver: any LinkReceiver
    private let observe: @Sendable (WorkerServerEvent) -> Void

    init(_ receiver: any LinkReceiver, _ observe: @escaping @Sendable (WorkerServerEvent) -> Void) {
      self.receiver = receiver
      self.observe = observe
    }

    func receive(_ message: Message) {
      observe(.received(byteCount: message.payloadByteCount, isCall: message.kind == .call))
      receiver.receive(message)
    }

    func heard() { receiver.heard() }

    func linkClosed(_ reason: RuntimeError) { receiver.linkClosed(reason) }
  }
}

extension Message {
  fileprivate var payloadByteCount: Int { segments.reduce(body.count) { $0 + $1.byteCount } }
}
