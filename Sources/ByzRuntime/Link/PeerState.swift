/// What one end of a connection knows and decides, without threads, clocks or bytes: an event goes in, directives come out.
///
/// First each side may prove a secret, then each says hello, then both may call. Calls are at-most-once: a call whose answer did not
/// come before the connection ended may or may not have been carried out. Nothing waits for ever: silence ends the connection, and its
/// end ends every call.
package struct PeerState {
  /// A time, counted from any fixed point.
  package typealias Time = Duration

  package enum Event {
    /// The link is there.
    case started
    /// A message arrived.
    case received(Message)
    /// Bytes of a message arrived that is not whole yet.
    case heard
    /// This side asks for something: an answer will come as ``Directive/complete(_:_:)``.
    case call(UInt64, timeLeft: Duration?)
    /// The message of a call has been handed to the link.
    case sent(UInt64)
    /// This side no longer wants the answer of a call.
    case cancelled(UInt64)
    /// This side has answered a call of the other.
    case served(Message)
    /// The message of an answer has been handed to the link.
    case sentAnswer
    /// The goodbye has been handed to the link.
    case sentGoodbye
    /// What ``Directive/sendAtOnce(_:)`` said has been handed to the link, and whether the link was full.
    case sentAtOnce(byteCount: Int, isFull: Bool)
    /// Time has passed.
    case ticked
    /// This side begins no more calls, and closes when those it serves and those it made have ended.
    case drained
    /// The link has ended.
    case linkClosed(RuntimeError)
  }

  package enum Directive: Sendable {
    case send(Message)
    /// Send what answers the other side without having waited for room, and say what came of it.
    case sendAtOnce(Message)
    /// The other side has proved who it is, as far as it must.
    case authenticated
    /// Both sides have said hello: calls may begin.
    case opened(Hello)
    /// A call of this side has ended: a reply or a failure message, or an error of the connection.
    case complete(UInt64, Result<Message, RuntimeError>)
    /// The other side asks for something.
    case serve(Message)
    /// The other side no longer wants an answer.
    case cancelServing(UInt64)
    /// Close the link, for this reason.
    case close(RuntimeError)
    /// Close the link, for this reason, once what was sent is on its way.
    case closeWhenSent(RuntimeError)
    /// The connection is over: nothing will follow.
    case ended(RuntimeError)
  }

  private enum Goodbye { case unsaid, onItsWay, said }

  private enum Phase { case created, authenticating, greeting, open, ended }

  /// A call of the other side that is being carried out.
  private struct Serving {
    /// When it is to be cancelled, unless it has been.
    var deadline: Time?
    let byteCount: Int
  }

  private struct Call {
    var deadline: Time?
    var isSent = false
    var isCancelled = false
  }

  /// How long after its deadline a call still waits for the other side's own answer about it.
  package static let grace: Duration = .milliseconds(100)

  /// How long a side that is refused has to take in why.
  package static let refusalLimit: Duration = .seconds(3)

  /// How many bytes of answers that wait for no room a full link takes: about as much as fills it.
  package static let mostUnread = 8 << 20

  private let hello: Hello
  private let helloBody: @Sendable (Hello) -> [UInt8]
  private let parseHello: @Sendable ([UInt8]) throws -> Hello
  private let liveness: Liveness
  private let limits: WireLimits
  private let epoch: UInt32
  /// What the other side wants its messages marked with; 0 before it has said so.
  package private(set) var peerEpoch: UInt32 = 0
  private var authenticator: (any LinkAuthenticator)?

  private var phase = Phase.created
  /// Why the other side is refused, once it is, and when the link closes even though that cannot be said.
  private var refusal: (reason: RuntimeError, until: Time)?
  private var isDraining = false
  private var goodbye = Goodbye.unsaid
  private var otherIsDraining = false
  /// Whether nothing is left to do but to send what is queued.
  private var isClosing = false
  private var calls: [UInt64: Call] = [:]
  /// Calls that have ended here, and that the other side still answers.
  private var overdue: Set<UInt64> = []
  private var serving: [UInt64: Serving] = [:]
  /// What the calls that are being carried out brought.
  private var servingBytes = 0
  /// Answers that have not been handed to the link yet.
  private var answering = 0
  private var begun = SeenNumbers()
  /// The bytes that were sent without waiting for room since the link was last seen not to be full.
  private var unread = 0
  private var startTime: Time = .zero
  private var lastHeard: Time = .zero
  private var nextPing: Time = .zero
  /// Calls and answers sent and received since the hellos. Every ping says how many were sent before it, so that a lost one is
  /// noticed; what is on its way to the link is not counted yet.
  private var sent: UInt64 = 0
  private var received: UInt64 = 0

  /// - Parameters:
  ///   - hello: what this side says about itself.
  ///   - epoch: marks this life of the connection; not 0, and another for each.
  ///   - authenticator: what this side proves first, if anything.
  ///   - limits: which calls of the other side are carried out at a time.
  package init(
    hello: Hello, epoch: UInt32, authenticator: (any LinkAuthenticator)? = nil,
    liveness: Liveness = Liveness(), limits: WireLimits = WireLimits(),
    encode: @escaping @Sendable (Hello) -> [UInt8],
    decode: @escaping @Sendable ([UInt8]) throws -> Hello
  ) {
    self.hello = hello
    self.epoch = epoch
    self.authenticator = authenticator
    self.liveness = liveness
    self.limits = limits
    helloBody = encode
    parseHello = decode
  }

  /// When ``Event/ticked`` is due, unless an event comes first.
  package var nextTick: Time? {
    switch phase {
    case .created, .ended: return nil
    case .authenticating, .greeting: return refusal?.until ?? startTime + liveness.opening
    case .open:
      var next = min(nextPing, lastHeard + liveness.timeout)
      for call in calls.values where call.deadline != nil {
        next = min(next, call.deadline! + Self.grace)
      }
      for case let deadline? in serving.values.map(\.deadline) { next = min(next, deadline) }
      return next
    }
  }

  /// Whether calls may begin.
  package var isOpen: Bool { phase == .open && !isDraining && !otherIsDraining }

  /// Whether nothing will happen any more.
  package var hasEnded: Bool { phase == .ended }

  /// Calls of either side that have not ended.
  package var pendingCount: Int { calls.count + serving.count }

  package mutating func handle(_ event: Event, at now: Time) -> [Directive] {
    if phase == .ended {
      // A call that came too late still gets its answer.
      guard case .call(let id, _) = event else { return [] }
      return [.complete(id, .failure(RuntimeError(.workerLost, "The connection is closed.")))]
    }
    switch event {
    case .started: return start(now)
    case .received(let message): return receive(message, now)
    case .heard:
      // What is large takes longer than a sign of life may, and those come behind it.
      if phase == .open { lastHeard = now }
      return []
    case .call(let id, let timeLeft):
      if phase == .open, otherIsDraining, !isDraining {
        // As good as gone, and the call has not begun: it may be made elsewhere.
        return [
          .complete(id, .failure(RuntimeError(.workerLost, "The other side takes no more calls.")))
        ]
      }
      guard isOpen else {
        return [
          .complete(id, .failure(RuntimeError(.stopped, "The connection takes no more calls.")))
        ]
      }
      calls[id] = Call(deadline: timeLeft.map { now + $0 })
      return []
    case .sent(let id):
      sent += 1
      calls[id]?.isSent = true
      let cancel = calls[id]?.isCancelled == true ? [outgoing(.cancel, call: id)] : []
      return cancel + closeIfDrained()
    case .cancelled(let id):
      guard var call = calls[id], !call.isCancelled else { return [] }
      call.isCancelled = true
      calls[id] = call
      return call.isSent ? [outgoing(.cancel, call: id)] : []
    case .served(var message):
      guard let served = serving.removeValue(forKey: message.call) else { return [] }
      servingBytes -= served.byteCount
      message.epoch = peerEpoch
      answering += 1
      return [.send(message)]
    case .sentAnswer:
      sent += 1
      answering -= 1
      return closeIfDrained()
    case .sentGoodbye:
      goodbye = .said
      return closeIfDrained()
    case .sentAtOnce(let byteCount, let isFull):
      unread = isFull ? unread + byteCount : 0
      guard unread > Self.mostUnread else { return [] }
      return end(
        RuntimeError(
          .limitExceeded,
          "The other side asks and does not read: \(unread) bytes of short answers wait for it beside what fills the connection."
        ))
    case .ticked:
      excuse(now)
      return tick(now)
    case .drained:
      guard phase == .open else {
        return end(refusal?.reason ?? RuntimeError(.stopped, "The connection was closed."))
      }
      guard !isDraining else { return [] }
      isDraining = true
      return closeIfDrained()
    case .linkClosed(let reason): return finish(refusal?.reason ?? reason)
    }
  }
}

// MARK: - Opening

extension PeerState {
  private mutating func start(_ now: Time) -> [Directive] {
    startTime = now
    lastHeard = now
    guard authenticator != nil else { return [.authenticated] + greet() }
    phase = .authenticating
    guard let body = authenticator?.begin() else { return [] }
    return [.send(Message(.authentication, body: body))]
  }

  private mutating func greet() -> [Directive] {
    phase = .greeting
    return [.send(Message(.hello, epoch: epoch, body: helloBody(hello)))]
  }

  private mutating func authenticate(_ message: Message) -> [Directive] {
    do {
      guard message.kind == .authentication, let step = try authenticator?.receive(message.body)
      else {
        throw RuntimeError(
          .authenticationFailed, "The other side must prove that it knows the token first.")
      }
      let reply = step.reply.map { [Directive.send(Message(.authentication, body: $0))] } ?? []
      guard step.isDone else { return reply }
      authenticator = nil
      return [.authenticated] + reply + greet()
    } catch {
      return end(error as? RuntimeError ?? RuntimeError(.authenticationFailed, "\(error)"))
    }
  }

  private mutating func meet(_ message: Message, _ now: Time) -> [Directive] {
    guard refusal == nil else { return [] }
    guard message.kind == .hello, message.epoch != 0 else {
      let advice =
        message.kind == .authentication
        ? "The other side asks for a token: give it one." : "A hello was expected."
      return end(
        RuntimeError(
          message.kind == .authentication ? .authenticationFailed : .malformedMessage, advice))
    }
    let other: Hello
    do {
      other = try parseHello(message.body)
      try hello.check(other)
    } catch {
      let reason = error as? RuntimeError ?? RuntimeError(.malformedMessage, "\(error)")
      guard reason.code == .incompatiblePeer else { return end(reason) }
      // The other side learns from this one's hello what is wrong, so that has to go first.
      refusal = (reason, until: now + Self.refusalLimit)
      return [.closeWhenSent(reason)]
    }
    peerEpoch = message.epoch
    phase = .open
    lastHeard = now
    nextPing = now + liveness.interval
    return [.opened(other)]
  }
}

// MARK: - Talking

extension PeerState {
  private func outgoing(_ kind: Message.Kind, call: UInt64 = 0, body: [UInt8] = []) -> Directive {
    return .send(Message(kind, epoch: peerEpoch, call: call, body: body))
  }

  private mutating func receive(_ message: Message, _ now: Time) -> [Directive] {
    switch phase {
    case .authenticating: return authenticate(message)
    case .greeting: return meet(message, now)
    case .created, .ended: return []
    case .open: break
    }
    // Of another life of this connection, whatever it says: no sign of life either.
    guard message.epoch == epoch else { return [] }
    lastHeard = now
    switch message.kind {
    case .hello, .authentication:
      return end(RuntimeError(.malformedMessage, "A second \(message.kind) arrived."))
    case .ping:
      guard let count = count(in: message.body), count <= received else {
        return end(RuntimeError(.workerLost, "Messages were lost on the way."))
      }
      return [.sendAtOnce(Message(.pong, epoch: peerEpoch))]
    case .pong: return []
    case .release:
      return []
    case .call:
      // A copy is none of those that were sent: counted, it would hide that another was lost.
      guard begun.insert(message.call) else { return [] }
      received += 1
      // Its answer would not be sent any more; that it was lost is what the other side will find.
      guard !isClosing else { return [] }
      if let limit = limitExceeded(by: message) {
        answering += 1
        return [refusal(of: message.call, limit)]
      }
      serving[message.call] = Serving(
        deadline: message.timeLeft.map { now + $0 }, byteCount: message.byteCount)
      servingBytes += message.byteCount
      return [.serve(message)]
    case .reply, .failure:
      guard calls.removeValue(forKey: message.call) != nil else {
        if overdue.remove(message.call) != nil { received += 1 }
        return []
      }
      received += 1
      return [.complete(message.call, .success(message))] + closeIfDrained()
    case .cancel:
      return serving[message.call] != nil ? [.cancelServing(message.call)] : []
    case .goodbye:
      otherIsDraining = true
      return closeIfDrained()
    }
  }

  /// Which limit another call would exceed, if it would.
  private func limitExceeded(by call: Message) -> String? {
    if serving.count >= limits.calls { return "calls" }
    // One alone is bounded by what a message may be.
    return serving.isEmpty || servingBytes + call.byteCount <= limits.callBytes ? nil : "callBytes"
  }

  /// The answer to a call that is one too many.
  private func refusal(of call: UInt64, _ limit: String) -> Directive {
    let error = RuntimeError(
      .limitExceeded,
      "\(serving.count) calls with \(servingBytes) bytes are being carried out, as many as WireLimits.\(limit) allows: wait for one to end."
    )
    var answer = Message.failure(error, registry: Registry())
    (answer.epoch, answer.call) = (peerEpoch, call)
    return .sendAtOnce(answer)
  }

  /// The eight bytes of a ping.
  private func count(in body: [UInt8]) -> UInt64? {
    guard body.count == 8 else { return nil }
    return body.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// Does not hold against the other side that this one stood still, stopped or on a machine that slept: a tick that comes late by
  /// more than an interval, and than what any alarm is late by, leaves one to read what has arrived meanwhile.
  private mutating func excuse(_ now: Time) {
    guard phase == .open, let due = nextTick,
      now - due > max(liveness.interval, liveness.timeout / 10)
    else { return }
    let heard = max(lastHeard + (now - due), now - liveness.timeout + liveness.interval)
    lastHeard = min(now, heard)
  }

  private mutating func tick(_ now: Time) -> [Directive] {
    if let refusal { return now >= refusal.until ? end(refusal.reason) : [] }
    guard phase == .open else {
      guard now >= startTime + liveness.opening else { return [] }
      return end(
        RuntimeError(.workerLost, "The other side did not say hello in \(liveness.opening)."))
    }
    guard now < lastHeard + liveness.timeout else {
      return end(RuntimeError(.workerLost, "There was no sign of life for \(liveness.timeout)."))
    }
    var directives: [Directive] = []
    if now >= nextPing {
      nextPing = now + liveness.interval
      let bytes = (0..<8).map { UInt8(truncatingIfNeeded: sent >> (8 * UInt64($0))) }
      directives.append(outgoing(.ping, body: bytes))
    }
    for (id, call) in calls.sorted(by: { $0.key < $1.key }) {
      guard let deadline = call.deadline, now >= deadline + Self.grace else { continue }
      calls[id] = nil
      overdue.insert(id)
      if call.isSent && !call.isCancelled { directives.append(outgoing(.cancel, call: id)) }
      directives.append(
        .complete(id, .failure(RuntimeError(.deadlineExceeded, "The answer did not come in time.")))
      )
    }
    for (id, call) in serving.sorted(by: { $0.key < $1.key }) {
      guard let deadline = call.deadline, now >= deadline else { continue }
      serving[id]?.deadline = nil
      directives.append(.cancelServing(id))
    }
    return directives + closeIfDrained()
  }
}

// MARK: - Ending

extension PeerState {
  /// Says goodbye once nothing follows that the other side would drop then, and closes when all has ended.
  private mutating func closeIfDrained() -> [Directive] {
    guard isDraining || otherIsDraining, !isClosing else { return [] }
    if isDraining, goodbye == .unsaid, calls.values.allSatisfy(\.isSent) {
      goodbye = .onItsWay
      return [outgoing(.goodbye)]
    }
    // Who has not heard it takes the end for a loss.
    guard calls.isEmpty, serving.isEmpty, answering == 0, goodbye != .onItsWay else { return [] }
    isClosing = true
    return [.closeWhenSent(RuntimeError(.stopped, "The connection was closed."))]
  }

  private mutating func end(_ reason: RuntimeError) -> [Directive] {
    [.close(reason)] + finish(reason)
  }

  private mutating func finish(_ cause: RuntimeError) -> [Directive] {
    phase = .ended
    // Who has said goodbye is not lost, however its link ends.
    let reason =
      otherIsDraining && cause.code == .workerLost
      ? RuntimeError(.stopped, cause.message, cause: cause.cause) : cause
    // Calls that were under way are lost, whatever ended the connection: they may have been carried out.
    let isPlain = reason.code == .stopped || reason.code == .workerLost
    let error = RuntimeError(
      .workerLost, reason.message, cause: isPlain ? reason.cause : reason)
    let lost = calls.keys.sorted().map { Directive.complete($0, .failure(error)) }
    let abandoned = serving.keys.sorted().map(Directive.cancelServing)
    calls = [:]
    overdue = []
    (serving, servingBytes) = ([:], 0)
    return lost + abandoned + [.ended(reason)]
  }
}
