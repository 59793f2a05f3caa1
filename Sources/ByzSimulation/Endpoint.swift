import ByzRuntime
import ByzTensor

/// One end of a connection: the production ``PeerState`` in virtual time, carried out as ``Peer`` carries it out.
final class Endpoint {
  typealias Answer = Result<Message, RuntimeError>

  let cable: Cable
  let side: Int
  let host: Host
  private let life: Int
  private unowned let world: World
  private var state: PeerState
  private var epoch: UInt32
  private var nextCall: UInt64 = 0
  private var callers: [UInt64: (Answer) -> Void] = [:]
  /// Calls that have ended, to see that none ends twice.
  private var endedCalls: Set<UInt64> = []
  /// What was carried out for the other side, to see that nothing is twice.
  private var served: Set<UInt64> = []
  private var alarm: Int?
  /// What a plant keeps of calls that have ended.
  private var remembered: [UInt64: (Answer) -> Void] = [:]

  /// Carries out a call of the other side; the answer goes to ``answer(_:)``.
  var serve: (Message) -> Void = { _ in }
  /// The other side no longer wants an answer.
  var cancelServing: (UInt64) -> Void = { _ in }
  var whenOpen: () -> Void = {}
  var whenEnded: (RuntimeError) -> Void = { _ in }
  private(set) var hasOpened = false
  /// What the other side calls itself, once it has said so.
  private(set) var peerName: UInt64?

  /// - Parameter name: what it calls itself; nil for a name by its host's number.
  init(_ cable: Cable, side: Int, on host: Host, named name: UInt64? = nil, in world: World) {
    self.cable = cable
    self.side = side
    self.host = host
    self.world = world
    life = host.life
    epoch = UInt32(world.pick(1...Int(UInt32.max)))
    state = PeerState(
      hello: Hello(
        host: name ?? UInt64(host.number) + 1, name: "host", types: [:], kernels: "plain", blas: "",
        requiresSameBits: false),
      epoch: epoch, liveness: simulatedLiveness, encode: Hello.encode,
      decode: Hello.init(parsing:))
    cable.attach(self, side: side)
  }

  var hasEnded: Bool { state.hasEnded }
  var pendingCount: Int { host.isUp && life == host.life ? state.pendingCount : 0 }

  /// Does something when the host is there, and never if it has crashed.
  func run(_ action: @escaping () -> Void) { host.run(in: life, action) }

  /// Lets go of whatever would keep it alive.
  func dispose() {
    (serve, cancelServing, whenOpen, whenEnded) = ({ _ in }, { _ in }, {}, { _ in })
    (callers, remembered) = ([:], [:])
  }

  func start() { handle(.started) }
  func drain() { handle(.drained) }

  /// Asks the other side for something; `done` is called exactly once.
  @discardableResult
  func call(
    body: [UInt8], segments: [Segment] = [], timeLeft: Duration? = nil,
    done: @escaping (Answer) -> Void
  ) -> UInt64 {
    nextCall += 1
    let (id, peerEpoch) = (nextCall, state.peerEpoch)
    callers[id] = done
    handle(.call(id, timeLeft: timeLeft))
    // Refused: nothing is sent.
    guard callers[id] != nil else { return id }
    cable.send(
      Message(
        .call, epoch: peerEpoch, call: id, timeLeft: timeLeft, body: body, segments: segments),
      from: side)
    handle(.sent(id))
    return id
  }

  func cancel(_ id: UInt64) { handle(.cancelled(id)) }

  func answer(_ message: Message) { handle(.served(message)) }

  func linkClosed(_ reason: RuntimeError) { handle(.linkClosed(reason)) }

  func receive(_ message: Message) {
    var message = message
    if world.plant == .epochUnchecked, hasOpened { message.epoch = epoch }
    if world.plant == .replyTwice, message.kind == .reply, message.epoch == epoch,
      endedCalls.contains(message.call), let caller = remembered[message.call]
    {
      return caller(.success(message))
    }
    if world.plant == .callTwice, message.kind == .call, message.epoch == epoch,
      served.contains(message.call), !state.hasEnded
    {
      return serveOnce(message)
    }
    if world.plant == .retryKeepsAssignment, state.hasEnded, message.kind == .reply,
      message.epoch == epoch, let caller = remembered[message.call]
    {
      return caller(.success(message))
    }
    if world.plant == .lossUnnoticed, message.kind == .ping {
      message.body = [UInt8](repeating: 0, count: 8)
    }
    handle(.received(message))
  }
}

// MARK: - Carrying out

extension Endpoint {
  private func handle(_ event: PeerState.Event) {
    let directives = state.handle(event, at: world.now)
    rearm()
    for directive in directives { carryOut(directive) }
  }

  private func carryOut(_ directive: PeerState.Directive) {
    switch directive {
    case .send(let message), .sendAtOnce(let message):
      cable.send(message, from: side)
      if message.kind == .reply || message.kind == .failure { handle(.sentAnswer) }
      if message.kind == .goodbye { handle(.sentGoodbye) }
    case .authenticated: break
    case .opened(let hello):
      peerName = hello.host
      world.note("opened", cable.number, side)
      hasOpened = true
      whenOpen()
    case .complete(let id, let result):
      world.note("complete", cable.number, side, Int(id))
      guard let caller = callers.removeValue(forKey: id), endedCalls.insert(id).inserted else {
        return world.violate("Call \(id) of connection \(cable.number) ended twice.")
      }
      if world.plant == .replyTwice || world.plant == .retryKeepsAssignment {
        remembered[id] = caller
      }
      caller(result)
    case .serve(let message): serveOnce(message)
    case .cancelServing(let id): cancelServing(id)
    // What was sent before the end of the line arrives before it.
    case .close(let reason), .closeWhenSent(let reason):
      // The plant leaves the line open for what the lost worker may still say.
      if world.plant == .retryKeepsAssignment, reason.code == .workerLost { return }
      cable.close(by: side, reason)
    case .ended(let reason):
      world.note("ended", cable.number, side)
      whenEnded(reason)
    }
  }

  private func serveOnce(_ message: Message) {
    world.note("serve", cable.number, side, Int(message.call))
    if !served.insert(message.call).inserted {
      world.violate("Call \(message.call) of connection \(cable.number) was carried out twice.")
    }
    serve(message)
  }

  /// Sets the alarm to when the state wants it; one that is too early does no harm.
  private func rearm() {
    guard var next = state.nextTick.map(\.microsecondsRoundedUp) else { return }
    if world.plant == .heartbeatIgnored, hasOpened { next += 3_600_000_000 }
    if let alarm, alarm <= next { return }
    alarm = next
    world.timeline.after(next - world.timeline.now) { [unowned self] in
      guard alarm == next else { return }
      run { [unowned self] in
        guard alarm == next else { return }
        alarm = nil
        handle(.ticked)
      }
    }
  }
}

/// What the simulated hosts agree on.
let simulatedLiveness = Liveness(
  interval: .milliseconds(50), timeout: .milliseconds(400), opening: .seconds(1))

extension Duration {
  /// Whole microseconds, and no less time than this is.
  var microsecondsRoundedUp: Int {
    let (seconds, attoseconds) = components
    return Int(seconds) * 1_000_000 + Int((attoseconds + 999_999_999_999) / 1_000_000_000_000)
  }
}
