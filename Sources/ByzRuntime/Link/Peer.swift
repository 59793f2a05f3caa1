package import ByzTensor

/// One end of a connection: makes calls, carries out the other side's calls, and notices when the other side is gone.
///
/// ``PeerState`` decides; this carries it out. Every message arrives on the link's thread, which answers questions of liveness by
/// itself: a process that computes is not a dead one.
package final class Peer: Sendable {
  package let link: any Link
  private let server: (any CallServer)?
  private let shell: Monitor<Shell>

  private struct Shell: Sendable {
    var state: PeerState
    var hello: Hello?
    var endReason: RuntimeError?
    var calls: [UInt64: CheckedContinuation<Message, any Error>] = [:]
    var nextCall: UInt64 = 0
    var serving: [UInt64: Serving] = [:]
    var opening: [CheckedContinuation<Hello, any Error>] = []
    /// Called once, when both sides have said hello.
    var onOpen: (@Sendable (Hello, Peer) -> Void)?
    /// Whether it has been.
    var hasOpened = false
    var ending: [CheckedContinuation<RuntimeError, Never>] = []
    var alarm: Duration?
    /// Called once, when the connection has ended.
    var onEnd: [@Sendable (RuntimeError) -> Void] = []

    /// Who is to be told of the end next; when there is nobody, who waits for the end may go on.
    mutating func nextToTell(_ reason: RuntimeError) -> (@Sendable (RuntimeError) -> Void)? {
      guard onEnd.isEmpty else { return onEnd.removeFirst() }
      endReason = reason
      return nil
    }
  }

  /// A call of the other side that is being carried out.
  private enum Serving {
    /// Its task is about to begin.
    case beginning(isCancelled: Bool)
    case running(Task<Void, Never>)
  }

  /// - Parameters:
  ///   - link: a link that nobody has started.
  ///   - server: who carries out the calls of the other side; nil to refuse them.
  package init(
    link: any Link, server: (any CallServer)? = nil, hello: Hello,
    authenticator: (any LinkAuthenticator)? = nil, liveness: Liveness = Liveness()
  ) {
    self.link = link
    self.server = server
    var hello = hello
    hello.longestMessage = link.limits.message
    shell = Monitor(
      Shell(
        state: PeerState(
          hello: hello, epoch: .random(in: 1 ... .max), authenticator: authenticator,
          liveness: liveness, limits: link.limits, encode: Hello.encode,
          decode: Hello.init(parsing:))))
  }

  /// Starts the link and waits until both sides have said hello.
  ///
  /// - Parameter onOpen: called then, on the link's thread and before any call of the other side begins. It must not block.
  /// - Returns: what the other side said.
  /// - Throws: `RuntimeError`: why there is no connection; `CancellationError`, and the link is closed then.
  @discardableResult
  package func open(
    onOpen: (@Sendable (Hello, Peer) -> Void)? = nil
  ) async throws -> Hello {
    shell.withLock { $0.onOpen = onOpen }
    begin()
    do {
      return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
          let known: Result<Hello, any Error>? = shell.withLock { shell in
            if let reason = shell.endReason { return .failure(reason) }
            if let hello = shell.hello, shell.hasOpened { return .success(hello) }
            shell.opening.append(continuation)
            return nil
          }
          if let known { continuation.resume(with: known) }
        }
      } onCancel: {
        link.close(RuntimeError(.stopped, "The caller was cancelled."))
      }
    } catch {
      try Task.checkCancellation()
      throw error
    }
  }

  /// Starts the link; whoever connected says hello when it likes.
  package func begin() {
    handle(.started)
    link.start(self)
  }

  /// What the other side said about itself, once it has.
  package var hello: Hello? { shell.withLock { $0.hello } }

  /// The most bytes that a message to the other side may have: what both ends allow.
  package var longestMessage: Int { outgoing.message }

  private var outgoing: WireLimits {
    var limits = link.limits
    limits.message = min(limits.message, max(0, hello?.longestMessage ?? .max))
    return limits
  }

  /// Whether the connection is over.
  package var hasEnded: Bool { shell.withLock { $0.state.hasEnded } }

  /// Whether calls may be made.
  package var isOpen: Bool { shell.withLock { $0.state.isOpen } }

  /// Asks the other side for something, once.
  ///
  /// When the calling task is cancelled the other side is told, and its answer, whatever it is, is still waited for: nothing that
  /// was lent for the call is in use after it.
  ///
  /// - Parameter timeLeft: how long from now the answer is wanted; the other side is told.
  /// - Returns: a reply or a failure message.
  /// - Throws: ``RuntimeError/Code/workerLost`` when the connection ended first, ``RuntimeError/Code/deadlineExceeded``,
  ///   ``RuntimeError/Code/stopped``; ``RuntimeError/Code/malformedMessage`` when it exceeds what one message may have;
  ///   `CancellationError` when it was cancelled before it was sent.
  package func call(
    body: [UInt8], segments: [Segment] = [], timeLeft: Duration? = nil
  ) async throws -> Message {
    try Task.checkCancellation()
    var message = Message(.call, timeLeft: timeLeft, body: body, segments: segments)
    try check(message)
    let deadline = timeLeft.map { Alarm.now + $0 }
    try await waitUntilWritable(for: timeLeft)
    let timeLeft = deadline.map { max(.zero, $0 - Alarm.now) }
    message.timeLeft = timeLeft
    let (id, epoch) = shell.withLock { shell in
      shell.nextCall += 1
      return (shell.nextCall, shell.state.peerEpoch)
    }
    (message.call, message.epoch) = (id, epoch)
    return try await withTaskCancellationHandler { [message] in
      try await withCheckedThrowingContinuation { continuation in
        handle(.call(id, timeLeft: timeLeft)) { $0.calls[id] = continuation }
        // Refused: what was not begun here must not begin there.
        guard shell.withLock({ $0.calls[id] != nil }) else { return }
        link.send(message)
        handle(.sent(id))
        if Task.isCancelled { handle(.cancelled(id)) }
      }
    } onCancel: {
      handle(.cancelled(id))
    }
  }

  /// Waits for room in the link, as long as a call may take: a peer that lives and does not read makes none.
  private func waitUntilWritable(for timeLeft: Duration?) async throws {
    guard let timeLeft else { return try await link.waitUntilWritable() }
    guard link.isFull else { return }
    let link = link
    do {
      try await withDeadline(timeLeft) { try await link.waitUntilWritable() }
    } catch let error as RuntimeError where error.code == .deadlineExceeded {
      throw RuntimeError(
        .deadlineExceeded, "\(link.peerName) did not read what was sent before in time.")
    }
  }

  /// Refuses a call that would end the connection when it arrives, or that no message holds.
  private func check(_ call: Message) throws(RuntimeError) {
    do {
      try Frame.check(call, limits: outgoing)
    } catch {
      throw RuntimeError(
        error.code,
        "A call to \(link.peerName) does not fit into one message: make it with fewer or smaller values. \(error.message)"
      )
    }
  }

  /// Begins no more calls, waits for those under way on both sides, and ends the connection; after `limit` without waiting for answers.
  /// What the other side has called here is cancelled then, and waited for until it ends.
  package func close(within limit: Duration = .seconds(5)) async {
    handle(.drained)
    let deadline = Deadline(after: limit) { [weak self] in
      self?.link.close(RuntimeError(.stopped, "The connection did not end in \(limit)."))
    }
    deadline.set()
    _ = await waitUntilEnded()
    deadline.clear()
    // A call that closes it waits for none: it may be one of them, or what one of them waits for.
    guard !Self.isServing else { return }
    for case .running(let task) in shell.withLock({ Array($0.serving.values) }) {
      await task.value
    }
  }

  /// Whether the current task serves a call, of any connection.
  @TaskLocal private static var isServing = false

  /// Begins no more calls; the connection ends by itself when those under way on both sides have.
  package func drain() { handle(.drained) }

  /// Waits until the connection has ended and all who wanted to be told have been, and says why it did.
  package func waitUntilEnded() async -> RuntimeError {
    await withCheckedContinuation { continuation in
      let reason = shell.withLock { shell in
        if shell.endReason == nil { shell.ending.append(continuation) }
        return shell.endReason
      }
      if let reason { continuation.resume(returning: reason) }
    }
  }

  /// Calls `body` when the connection has ended, at once if it has. It must not block.
  package func whenEnded(_ body: @escaping @Sendable (RuntimeError) -> Void) {
    let reason = shell.withLock { shell in
      if shell.endReason == nil { shell.onEnd.append(body) }
      return shell.endReason
    }
    if let reason { body(reason) }
  }
}

// MARK: - Carrying out

extension Peer: LinkReceiver, Alarm.Sleeper {
  package func receive(_ message: Message) { handle(.received(message)) }

  package func heard() { handle(.heard) }

  package func linkClosed(_ reason: RuntimeError) { handle(.linkClosed(reason)) }

  package func wake() { handle(.ticked) }

  /// - Parameter change: What changes together with the event.
  private func handle(_ event: PeerState.Event, after change: (inout Shell) -> Void = { _ in }) {
    var actions: [@Sendable () -> Void] = []
    shell.withLock { shell in
      change(&shell)
      let directives = shell.state.handle(event, at: Alarm.now)
      for directive in directives { prepare(directive, &shell, &actions) }
      // Under the lock, so that two threads cannot set their alarms in the other order.
      if event.changesAlarm, let alarm = rearm(&shell, ticked: event.isTick) {
        Alarm.shared.set(self, at: alarm)
      }
    }
    for action in actions { action() }
  }

  /// The time to set the alarm to, if it is not the one it is set to; an alarm that is too early does no harm.
  private func rearm(_ shell: inout Shell, ticked: Bool) -> Duration?? {
    let next = shell.state.nextTick
    if !ticked, let set = shell.alarm, let next, set <= next { return nil }
    guard ticked || next != shell.alarm else { return nil }
    shell.alarm = next
    return .some(next)
  }

  private func prepare(
    _ directive: PeerState.Directive, _ shell: inout Shell, _ actions: inout [@Sendable () -> Void]
  ) {
    switch directive {
    case .send(let message):
      actions.append {
        self.link.send(message)
        switch message.kind {
        case .reply, .failure: self.handle(.sentAnswer)
        case .goodbye: self.handle(.sentGoodbye)
        default: break
        }
      }
    case .sendAtOnce(let message):
      actions.append {
        self.link.send(message)
        if message.kind == .failure { self.handle(.sentAnswer) }
        self.handle(.sentAtOnce(byteCount: message.byteCount, isFull: self.link.isFull))
      }
    case .authenticated:
      actions.append { self.link.authenticated() }
    case .opened(let hello):
      shell.hello = hello
      let onOpen = shell.onOpen
      actions.append {
        onOpen?(hello, self)
        let waiting = self.shell.withLock { shell in
          defer { (shell.opening, shell.onOpen, shell.hasOpened) = ([], nil, true) }
          return shell.opening
        }
        for continuation in waiting { continuation.resume(returning: hello) }
      }
    case .complete(let id, let result):
      guard let continuation = shell.calls.removeValue(forKey: id) else { return }
      actions.append { continuation.resume(with: result.mapError { $0 as any Error }) }
    case .serve(let call):
      shell.serving[call.call] = .beginning(isCancelled: false)
      let deadline = call.timeLeft.map(CallDeadline.after)
      actions.append { self.serve(call, until: deadline) }
    case .cancelServing(let id):
      switch shell.serving[id] {
      case .beginning: shell.serving[id] = .beginning(isCancelled: true)
      case .running(let task): actions.append { task.cancel() }
      case nil: break
      }
    case .close(let reason):
      actions.append { self.link.close(reason) }
    case .closeWhenSent(let reason):
      actions.append { self.link.closeWhenSent(reason) }
    case .ended(let reason):
      shell.onOpen = nil
      // Only when what was served has been cancelled: who waits for the end counts on it.
      actions.append {
        while let callback = self.shell.withLock({ $0.nextToTell(reason) }) { callback(reason) }
        let (opening, ending) = self.shell.withLock { shell in
          defer { (shell.opening, shell.ending) = ([], []) }
          return (shell.opening, shell.ending)
        }
        for continuation in opening { continuation.resume(throwing: reason) }
        for continuation in ending { continuation.resume(returning: reason) }
      }
    }
  }
}

extension Peer {
  /// - Parameter deadline: when the call is cancelled, which holds for calls that it makes, too.
  private func serve(_ call: Message, until deadline: ContinuousClock.Instant?) {
    // Not under the lock, which it will want as soon as it runs.
    let task = Task(executorPreference: server?.executor(for: call)) {
      var answer: Message
      if self.isWanted(call) {
        answer = await Self.$isServing.withValue(true) {
          await CallDeadline.$current.withValue(deadline) {
            await self.server?.serve(call, from: self) ?? Message(.failure)
          }
        }
      } else {
        answer = .failure(Self.unbegun(deadline), registry: Registry())
      }
      do throws(RuntimeError) {
        try Frame.check(answer, limits: self.outgoing)
      } catch {
        answer = .failure(error, registry: Registry())
      }
      // A call counts as under way until there is room for its answer: who reads none gets no more of them made.
      await self.waitForRoom()
      answer.call = call.call
      self.handle(.served(answer)) { $0.serving[call.call] = nil }
    }
    let isCancelled = shell.withLock { shell in
      guard case .beginning(let isCancelled)? = shell.serving[call.call] else { return false }
      shell.serving[call.call] = .running(task)
      return isCancelled
    }
    if isCancelled { task.cancel() }
  }

  /// Whether a call whose turn has come is to begin: not when its caller gave up, its time is over or the connection has ended, about
  /// which everybody may have been told by now.
  private func isWanted(_ call: Message) -> Bool {
    guard !Task.isCancelled else { return false }
    return shell.withLock { shell in
      if case .beginning(isCancelled: true)? = shell.serving[call.call] { return false }
      return true
    }
  }

  private static func unbegun(_ deadline: ContinuousClock.Instant?) -> any Error {
    guard let deadline, deadline <= .now else { return CancellationError() }
    return RuntimeError(.deadlineExceeded, "The time was over before the call could begin.")
  }

  /// Waits until the link has room, or has ended, cancelled or not.
  private func waitForRoom() async {
    do {
      try await link.waitUntilWritable()
    } catch is CancellationError {
      await Task { try? await self.link.waitUntilWritable() }.value
    } catch {
      // It has ended.
    }
  }
}

extension PeerState.Event {
  fileprivate var isTick: Bool {
    if case .ticked = self { return true }
    return false
  }

  /// Whether something may be due earlier than before.
  fileprivate var changesAlarm: Bool {
    switch self {
    case .started, .ticked, .linkClosed, .drained: true
    case .call(_, let timeLeft): timeLeft != nil
    case .received(let message): message.kind == .hello || message.timeLeft != nil
    default: false
    }
  }
}

/// Who carries out the calls that a ``Peer`` receives.
package protocol CallServer: AnyObject, Sendable {
  /// Carries out a call and returns the answer: a reply or a failure message. Runs in a task that is cancelled when the caller
  /// cancels, the time it allowed is over, or the connection ends.
  func serve(_ call: Message, from peer: Peer) async -> Message

  /// Where ``serve(_:from:)`` begins; nil for Swift's own threads. Must not block.
  func executor(for call: Message) -> (any TaskExecutor)?
}
