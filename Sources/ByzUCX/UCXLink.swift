package import ByzRuntime

/// A connection over UCX, driven by a thread of its own.
///
/// Whoever sends queues the message. While the thread sleeps the sender also posts it, which saves the way to the thread; the
/// thread does everything else, and sleeps when there is nothing to do.
package final class UCXLink: Link {
  /// How many bytes may be queued before those who ask have to wait.
  private static let highWaterMark = 8 << 20

  private enum Phase {
    case opening(CheckedContinuation<Void, any Error>?)
    case open
    case closed(RuntimeError)
  }

  private struct State {
    var phase: Phase
    var receiver: (any LinkReceiver)?
    var queue: [Message] = []
    var queuedBytes = 0
    /// Whether what is queued has to be seen to: by who queues it, or by waking the thread.
    var isAsleep = false
    var closing: RuntimeError?
    /// Why to close once all that is queued has been sent.
    var closingWhenSent: RuntimeError?
    /// Whether the other side has proved who it is, as far as it must, and the thread does not know yet.
    var isNewlyKnown = false
    var writers: [Int: CheckedContinuation<Void, any Error>] = [:]
    var nextWriter = 0
    /// Whether UCX's side of the link is gone, and who waits for that.
    var isGone = false
    var waitingForEnd: [CheckedContinuation<Void, Never>] = []
  }

  package let peerName: String
  package var limits: WireLimits { options.limits }
  private let options: UCXOptions
  private let state: Monitor<State>

  private init(peerName: String, options: UCXOptions, phase: Phase) {
    self.peerName = peerName
    self.options = options
    state = Monitor(State(phase: phase))
  }

  /// Connects to a listener.
  ///
  /// - Throws: `RuntimeError.Code.transportUnavailable`, `RuntimeError.Code.workerStartFailed`,
  ///   `RuntimeError.Code.invalidConfiguration` for an address that the options do not allow; `CancellationError`.
  package static func connect(to name: String, options: UCXOptions) async throws -> UCXLink {
    try UCX.load()
    let address = try await UCXAddress.lookingUp(name, within: options.connectTimeout)
    let link = UCXLink(peerName: "ucx://\(name)", options: options, phase: .opening(nil))
    do {
      try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { opened in
          link.state.withLock { $0.phase = .opening(opened) }
          do throws(RuntimeError) {
            try startUCXThread { link.runOpening(address) }
          } catch {
            link.end(error, endpoint: nil)
          }
        }
      } onCancel: {
        link.close(RuntimeError(.stopped, "Connecting to \(link.peerName) was cancelled."))
      }
    } catch {
      try Task.checkCancellation()
      throw error
    }
    return link
  }

  /// The listener's end of a link; `whenGone` is called when it is over.
  static func accepted(
    _ endpoint: UCXEndpoint, from address: UCXAddress, options: UCXOptions,
    whenGone: @escaping @Sendable (UCXLink) -> Void
  ) throws(RuntimeError) -> UCXLink {
    let link = UCXLink(peerName: address.description, options: options, phase: .open)
    try startUCXThread {
      link.run(endpoint)
      whenGone(link)
    }
    return link
  }

  // MARK: - Link

  package func start(_ receiver: any LinkReceiver) {
    let reason: RuntimeError? = state.withLock { state in
      // Kept from here on, it would never be let go of.
      if case .closed(let reason) = state.phase { return reason }
      state.receiver = receiver
      wake(&state)
      return nil
    }
    if let reason { receiver.linkClosed(reason) }
  }

  package func send(_ message: Message) {
    let isAsleep = state.withLock { state in
      guard case .open = state.phase, state.closingWhenSent == nil else { return false }
      state.queue.append(message)
      state.queuedBytes += message.byteCount
      defer { state.isAsleep = false }
      return state.isAsleep
    }
    if isAsleep { post() }
  }

  package var isFull: Bool { state.withLock { $0.queuedBytes >= Self.highWaterMark } }

  package func waitUntilWritable() async throws {
    try Task.checkCancellation()
    let number = state.withLock { state in
      state.nextWriter += 1
      return state.nextWriter
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { writer in
        let result: Result<Void, any Error>? = state.withLock { state in
          if case .closed(let reason) = state.phase { return .failure(lost(reason)) }
          if state.queuedBytes < Self.highWaterMark { return .success(()) }
          if Task.isCancelled { return .failure(CancellationError()) }
          state.writers[number] = writer
          return nil
        }
        if let result { writer.resume(with: result) }
      }
    } onCancel: {
      let writer = state.withLock { $0.writers.removeValue(forKey: number) }
      writer?.resume(throwing: CancellationError())
    }
  }

  package func close(_ reason: RuntimeError) {
    state.withLock { state in
      if state.closing == nil { state.closing = reason }
      wake(&state)
    }
  }

  package func closeWhenSent(_ reason: RuntimeError) {
    state.withLock { state in
      if state.closingWhenSent == nil { state.closingWhenSent = reason }
      wake(&state)
    }
  }

  package func authenticated() { state.withLock { $0.isNewlyKnown = true } }

  /// Returns when nothing of the link is left, unless the other side hangs and holds on to it. It has to be closed by someone.
  package func waitUntilGone() async {
    await withCheckedContinuation { waiting in
      let isGone = state.withLock { state in
        if !state.isGone { state.waitingForEnd.append(waiting) }
        return state.isGone
      }
      if isGone { waiting.resume() }
    }
  }

  // MARK: - The thread

  /// Whether someone uses the endpoint: the thread, unless it sleeps, or a sender.
  private let driver = Monitor(false)
  /// What rings for the thread; set while it may sleep.
  private let bell = Monitor<UCXEndpoint?>(nil)

  /// Wakes the thread if it sleeps. Called with the lock, so that what is woken is still there.
  private func wake(_ state: inout State) {
    guard state.isAsleep else { return }
    state.isAsleep = false
    bell.withLock { $0?.wake() }
  }

  private func acquireDriver() {
    driver.wait { isTaken -> Void? in
      if isTaken { return nil }
      isTaken = true
      return ()
    }
  }

  private func releaseDriver() {
    driver.withLock { $0 = false }
    driver.signal()
  }

  /// Posts what is queued in place of the thread, which sleeps, and wakes it if more than that has to be done.
  private func post() {
    let isMine = driver.withLock { isTaken in
      defer { isTaken = true }
      return !isTaken
    }
    guard isMine else { return bell.withLock { $0?.wake() } }
    defer { releaseDriver() }
    guard let endpoint = bell.withLock({ $0 }) else { return }
    while true {
      for message in takeQueue().messages { endpoint.append(message) }
      endpoint.post()
      release(endpoint.takeGoneByteCount())
      let isDone = state.withLock { state in
        guard state.queue.isEmpty else { return false }
        // What is to close is for the thread to do.
        state.isAsleep = endpoint.isQuiet && state.closing == nil && state.closingWhenSent == nil
        if !state.isAsleep { bell.withLock { $0?.wake() } }
        return true
      }
      if isDone { return }
    }
  }

  private func runOpening(_ address: UCXAddress) {
    let endpoint: UCXEndpoint
    do throws(RuntimeError) {
      try options.check(address)
      let context = try UCXContext(transports: options.transports)
      endpoint = try UCXEndpoint(context: context, options: options)
      try endpoint.connect(to: address)
    } catch {
      return end(error, endpoint: nil)
    }
    let deadline = ContinuousClock.now + options.connectTimeout
    bell.withLock { $0 = endpoint }
    while !endpoint.isGreeted {
      let isBusy = endpoint.step()
      if let failure = endpoint.failure {
        return end(
          RuntimeError(.workerStartFailed, "\(peerName) cannot be reached.", cause: failure),
          endpoint: endpoint)
      }
      let left = deadline - ContinuousClock.now
      guard left > .zero else {
        let time = options.connectTimeout
        return end(
          RuntimeError(.workerStartFailed, "\(peerName) did not answer within \(time)."),
          endpoint: endpoint)
      }
      if let closing = closingOrSleep(isBusy) { return end(closing, endpoint: endpoint) }
      if !isBusy { endpoint.wait(upTo: left) }
    }
    let phase = state.withLock { state in
      defer { state.phase = .open }
      return state.phase
    }
    if case .opening(let opened) = phase { opened?.resume() }
    run(endpoint)
  }

  /// Why to end, if someone has said so; else notes that the thread is about to sleep unless it is busy.
  private func closingOrSleep(_ isBusy: Bool) -> RuntimeError? {
    state.withLock { state in
      state.isAsleep = !isBusy && state.closing == nil
      return state.closing
    }
  }

  private func run(_ endpoint: UCXEndpoint) {
    acquireDriver()
    bell.withLock { $0 = endpoint }
    var lastWork = ContinuousClock.now
    var patience = Patience()
    while true {
      let (messages, receiver) = takeQueue()
      for message in messages { endpoint.append(message) }
      admitIfKnown(endpoint)
      let hasProgressed = endpoint.step()
      var isBusy = hasProgressed || !messages.isEmpty
      if hasProgressed, endpoint.isFetching { receiver?.heard() }
      if let receiver {
        do throws(RuntimeError) {
          while let message = try endpoint.nextMessage() {
            patience.end()
            receiver.receive(message)
            isBusy = true
          }
        } catch {
          return end(error, endpoint: endpoint)
        }
      }
      if let failure = endpoint.failure { return end(failure, endpoint: endpoint) }
      release(endpoint.takeGoneByteCount())
      let hasWorked = isBusy
      if options.spin > .zero {
        let now = ContinuousClock.now
        if isBusy { lastWork = now }
        isBusy = now - lastWork < options.spin
      }
      if hasWorked {
        patience.begin()
      } else if !isBusy {
        isBusy = patience.lasts()
      }
      let isQuiet = endpoint.isQuiet
      let (isIdle, closing) = state.withLock { state in
        let isNews =
          !state.queue.isEmpty || state.closing != nil
          || (state.receiver == nil) != (receiver == nil)
        state.isAsleep = !isBusy && !isNews
        return (state.isAsleep, state.closing)
      }
      if let closing { return end(closing, endpoint: endpoint) }
      if isQuiet, let reason = closingWhenSent() {
        endpoint.linger(
          for: reason.code == .incompatiblePeer ? Self.refusalTime : Self.lingeringTime)
        return end(reason, endpoint: endpoint)
      }
      guard isIdle else { continue }
      // Without a receiver, what arrives has to stay where it is.
      let staysAway = receiver == nil && endpoint.hasMessage
      let isArmed = !staysAway && endpoint.arm()
      releaseDriver()
      if isArmed || staysAway { endpoint.sleep(isArmed: isArmed) }
      acquireDriver()
    }
  }

  /// Why to close, if someone wants that once all is sent, and nothing is queued.
  private func closingWhenSent() -> RuntimeError? {
    state.withLock { $0.queue.isEmpty ? $0.closingWhenSent : nil }
  }

  /// Before the other side can know that it is: it hears of that in what is sent next.
  private func admitIfKnown(_ endpoint: UCXEndpoint) {
    let isNews = state.withLock { state in
      defer { state.isNewlyKnown = false }
      return state.isNewlyKnown
    }
    if isNews { endpoint.admit(options.limits) }
  }

  private func takeQueue() -> (messages: [Message], receiver: (any LinkReceiver)?) {
    state.withLock { state in
      defer { state.queue = [] }
      state.isAsleep = false
      return (state.queue, state.receiver)
    }
  }

  private func release(_ byteCount: Int) {
    guard byteCount > 0 else { return }
    let writers: [CheckedContinuation<Void, any Error>] = state.withLock { state in
      state.queuedBytes -= byteCount
      guard state.queuedBytes < Self.highWaterMark else { return [] }
      defer { state.writers = [:] }
      return Array(state.writers.values)
    }
    for writer in writers { writer.resume() }
  }

  /// How long UCX may take to hand on what it has said is sent, when the other side does not close by then.
  private static let lingeringTime: Duration = .milliseconds(50)
  /// The same for a side that is refused, and expects no end: it is to read why.
  private static let refusalTime: Duration = .seconds(1)
  /// How long closing may wait for the other side to let go.
  private static let closingTime: Duration = .milliseconds(250)

  /// Tells everyone, then frees what UCX has.
  private func end(_ reason: RuntimeError, endpoint: UCXEndpoint?) {
    bell.withLock { $0 = nil }
    let (phase, receiver, writers) = state.withLock { state in
      defer {
        state.phase = .closed(reason)
        state.queue = []
        state.writers = [:]
        state.isAsleep = false
      }
      return (state.phase, state.receiver, state.writers)
    }
    for writer in writers.values { writer.resume(throwing: lost(reason)) }
    receiver?.linkClosed(reason)
    let isFree = endpoint?.close(within: Self.closingTime) ?? true
    if case .opening(let opened) = phase { opened?.resume(throwing: reason) }
    let waiting = state.withLock { state in
      defer { state.waitingForEnd = [] }
      state.isGone = true
      state.receiver = nil
      return state.waitingForEnd
    }
    for waiting in waiting { waiting.resume() }
    // No one waits for a peer that hangs, but this thread.
    if !isFree { endpoint?.finish() }
  }

  private func lost(_ reason: RuntimeError) -> RuntimeError {
    RuntimeError(.workerLost, "The link to \(peerName) is closed.", cause: reason)
  }
}
