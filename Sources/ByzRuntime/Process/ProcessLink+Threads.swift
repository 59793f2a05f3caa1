internal import ByzTensor
internal import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension ProcessLink {
  // MARK: - Writing

  /// Writes until nothing is queued. The caller has set `isWriting`.
  ///
  /// - Parameters:
  ///   - rest: What comes before the queue.
  ///   - sent: How much was sent since the last look at the state.
  ///   - isBlocked: Whether the socket has just refused to take more.
  func write(_ rest: Outbox, sent: Int, isBlocked: Bool) {
    var (rest, sent, isBlocked) = (rest, sent, isBlocked)
    var rounds = 0
    while true {
      while !rest.isEmpty, !isBlocked {
        let count = rest.send(to: socket)
        if hasFailed(count) { return }
        if count < 0 { isBlocked = true }
        rest.advance(by: max(count, 0))
        sent += max(count, 0)
      }
      rounds += 1
      // A caller writes for others, but not for ever.
      let mustHandOver = isBlocked || rounds > Self.roundLimit
      let next = account(for: sent, rest, mustHandOver: mustHandOver)
      guard let next else {
        if mustHandOver { ringWriter() }
        return
      }
      if next.isEmpty { return }
      (rest, sent) = (next, 0)
    }
  }

  /// Whether the socket takes nothing any more; until the link ends `isWriting` stays set, so that no one tries again. Of its end the
  /// reading thread hears too; of another failure, such as no memory, nobody else would.
  func hasFailed(_ count: Int) -> Bool {
    guard count < 0, count != -Int(EAGAIN) else { return false }
    if count != -Int(EPIPE), count != -Int(ECONNRESET) {
      let reason = String(cString: strerror(Int32(-count)))
      close(RuntimeError(.workerLost, "Nothing can be sent to \(peerName): \(reason)."))
    }
    return true
  }

  private static var roundLimit: Int { 16 }

  /// Notes what has been sent, and returns what to write next: nothing when the queue is empty, nil when the link's own thread is to
  /// go on.
  private func account(for sent: Int, _ rest: Outbox, mustHandOver: Bool) -> Outbox? {
    let (next, writable, closing) = state.withLock {
      state -> (Outbox?, [CheckedContinuation<Void, any Error>], RuntimeError?)
      in
      guard state.closeReason == nil else { return (Outbox(), [], nil) }
      state.queuedByteCount -= sent
      var writable: [CheckedContinuation<Void, any Error>] = []
      if !state.waiting.isEmpty, state.queuedByteCount < Self.highWaterMark {
        writable = Array(state.waiting.values)
        state.waiting = [:]
      }
      if rest.isEmpty, state.outbox.isEmpty {
        state.isWriting = false
        return (Outbox(), writable, state.reasonToCloseWhenSent)
      }
      if mustHandOver {
        var all = rest
        all.append(state.outbox)
        state.outbox = all
        return (nil, writable, nil)
      }
      let next = state.outbox
      state.outbox = Outbox()
      return (next, writable, nil)
    }
    for continuation in writable { continuation.resume() }
    if let closing { close(closing) }
    return next
  }

  private func ringWriter() {
    bell.withLock { $0.isBlocked = true }
    bell.signal()
  }

  /// The writing thread's whole life: goes on where the socket took no more, and gives back what was borrowed.
  func writeWhatIsQueued() {
    while true {
      let call = bell.wait { bell -> WriterBell? in
        guard bell.isClosed || bell.isBlocked || !bell.released.isEmpty else { return nil }
        let call = bell
        bell.isBlocked = false
        bell.released = []
        return call
      }
      if call.isClosed { return }
      if call.isBlocked {
        _ = byz_wait_until_writable(socket)
        write(Outbox(), sent: 0, isBlocked: false)
      }
      giveBack(call.released)
    }
  }

  /// Tells the other side what is no longer read here.
  private func giveBack(_ offsets: [UInt64]) {
    for start in stride(from: 0, to: offsets.count, by: ReleaseBody.limit) {
      let some = offsets[start...].prefix(ReleaseBody.limit)
      send(Message(.release, body: ReleaseBody.bytes(of: some)))
    }
  }

  // MARK: - Reading

  /// The reading thread's whole life.
  func read(into receiver: any LinkReceiver) {
    do {
      try readMessages(into: receiver)
      finish(nil, receiver)
    } catch {
      finish(
        error as? RuntimeError ?? RuntimeError(.workerLost, "\(peerName): \(error)"), receiver)
    }
  }

  private func readMessages(into receiver: any LinkReceiver) throws {
    var reader = FrameReader(limits: limits, sharedMemory: borrowed)
    var patience = Patience()
    while try reader.fill({ try receive($0, &patience) }) > 0 {
      if borrowed != nil { bell.withLock { $0.isDelivering = true } }
      var isAmidMessage = true
      while let message = try reader.next() {
        isAmidMessage = false
        let isOpen = state.withLock { state in
          state.countCall(message)
          return state.closeReason == nil
        }
        guard isOpen else { return }
        if message.kind == .release {
          // That can take a while, and nothing is to wait for it.
          comeBy(at: nil)
          try takeBack(message)
        } else {
          receiver.receive(message)
        }
      }
      if isAmidMessage { receiver.heard() }
      if borrowed != nil { giveBack(endDelivery()) }
    }
  }

  /// What was released during the delivery. From now on the writing thread is woken for it.
  private func endDelivery() -> [UInt64] {
    bell.withLock { bell in
      bell.isDelivering = false
      defer { bell.released = [] }
      return bell.released
    }
  }

  private func receive(
    _ room: UnsafeMutableRawBufferPointer, _ patience: inout Patience
  ) throws -> Int {
    patience.begin()
    comeBy(at: patience.now)
    var count = byz_receive(socket, room.baseAddress!, room.count, false)
    while count == -Int(EAGAIN) {
      let looksAgain = patience.lasts()
      comeBy(at: looksAgain ? patience.now : nil)
      count = byz_receive(socket, room.baseAddress!, room.count, !looksAgain)
    }
    patience.end()
    // Reset: the other side ended with bytes unread, which says no more than the end of the stream.
    if count < 0, count != -Int(ECONNRESET) {
      let reason = String(cString: strerror(CInt(-count)))
      throw RuntimeError(.workerLost, "The \(peerName) cannot be heard: \(reason).")
    }
    return max(count, 0)
  }

  /// The reading thread writes what was left to it.
  ///
  /// - Parameter time: Now, if it will come by again soon; nil when it is about to sleep.
  private func comeBy(at time: Patience.Instant?) {
    let isLeft = state.withLock { state in
      state.readerCameBy = time
      defer { state.isLeftToReader = false }
      return state.isLeftToReader
    }
    if isLeft { write(Outbox(), sent: 0, isBlocked: false) }
  }

  /// What the other side has let go of. It is freed outside of the lock, since giving a block back may take a system call.
  private func takeBack(_ message: Message) throws {
    let offsets = try ReleaseBody.offsets(in: message.body)
    _ = try state.withLock { state in try offsets.compactMap { try state.leases.release($0) } }
  }
}
