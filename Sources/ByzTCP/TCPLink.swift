package import ByzRuntime
import NIOCore

/// A link over a TCP connection, with or without TLS. What any thread may do is here; what happens
/// on the connection's event loop is in ``LinkHandler``.
package final class TCPLink: Link {
  /// What may wait to be sent before ``waitUntilWritable()`` waits.
  package static let highWaterMark = 8 << 20

  package let peerName: String
  package let limits: WireLimits
  private let eventLoop: any EventLoop
  private let handler: NIOLoopBound<LinkHandler>
  private let state = Monitor(State())

  private struct State {
    /// What the event loop has not fetched yet.
    var fresh: [OutgoingMessage] = []
    /// Whether the event loop has been asked to fetch it.
    var isFetchDue = false
    /// What has not been written, fetched or not.
    var queuedByteCount = 0
    /// Who waits until less is queued.
    var writers: [Int: CheckedContinuation<Void, any Error>] = [:]
    var lastWriter = 0
    /// Why the link is closed.
    var closure: RuntimeError?
    /// Whether it closes when what is queued has been written.
    var isFinishing = false

    mutating func takeWriters() -> [CheckedContinuation<Void, any Error>] {
      defer { writers = [:] }
      return Array(writers.values)
    }
  }

  /// Called on the event loop.
  init(peerName: String, limits: WireLimits, handler: LinkHandler, eventLoop: any EventLoop) {
    self.peerName = peerName
    self.limits = limits
    self.eventLoop = eventLoop
    self.handler = NIOLoopBound(handler, eventLoop: eventLoop)
  }

  package func start(_ receiver: any LinkReceiver) {
    eventLoop.execute { self.handler.value.start(receiver) }
  }

  package func send(_ message: Message) {
    // Encoded by the thread that sends, which leaves the event loop to its sockets.
    let outgoing = OutgoingMessage(message)
    let fetch = state.withLock { state in
      guard state.closure == nil, !state.isFinishing else { return false }
      state.fresh.append(outgoing)
      state.queuedByteCount += outgoing.byteCount
      defer { state.isFetchDue = true }
      return !state.isFetchDue
    }
    // The messages sent until the event loop comes to it leave together.
    if fetch { eventLoop.execute { self.handler.value.write() } }
  }

  package var isFull: Bool { state.withLock { $0.queuedByteCount >= Self.highWaterMark } }

  package func waitUntilWritable() async throws {
    let writer = try state.withLock { state -> Int? in
      if try isWritable(state) { return nil }
      state.lastWriter += 1
      return state.lastWriter
    }
    guard let writer else { return }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let outcome = state.withLock { state -> Result<Void, any Error>? in
          do {
            if try isWritable(state) { return .success(()) }
          } catch {
            return .failure(error)
          }
          // Asked under the lock: a later cancellation finds the continuation.
          if Task.isCancelled { return .failure(CancellationError()) }
          state.writers[writer] = continuation
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      state.withLock { $0.writers.removeValue(forKey: writer) }?
        .resume(throwing: CancellationError())
    }
  }

  private func isWritable(_ state: State) throws -> Bool {
    if let reason = state.closure { throw lost(reason) }
    return state.queuedByteCount < Self.highWaterMark
  }

  private func lost(_ reason: RuntimeError) -> RuntimeError {
    RuntimeError(.workerLost, "The connection to \(peerName) is closed.", cause: reason)
  }

  package func close(_ reason: RuntimeError) {
    guard markClosed(reason) else { return }
    // From within `receive`, no further message follows.
    if eventLoop.inEventLoop { handler.value.stopReceiving() }
    eventLoop.execute { self.handler.value.finish(reason) }
  }

  package func closeWhenSent(_ reason: RuntimeError) {
    state.withLock { $0.isFinishing = true }
    eventLoop.execute { self.handler.value.finishWhenWritten(reason) }
  }

  package func authenticated() {
    if eventLoop.inEventLoop {
      handler.value.authenticated()
    } else {
      eventLoop.execute { self.handler.value.authenticated() }
    }
  }
}

// MARK: - For the handler

extension TCPLink {
  /// What has been sent since the last time.
  func fetch() -> [OutgoingMessage] {
    state.withLock { state in
      state.isFetchDue = false
      defer { state.fresh = [] }
      return state.fresh
    }
  }

  /// So much less is queued.
  func wrote(_ byteCount: Int) {
    let writers = state.withLock { state in
      state.queuedByteCount -= byteCount
      return state.queuedByteCount < Self.highWaterMark ? state.takeWriters() : []
    }
    for writer in writers { writer.resume() }
  }

  /// Refuses what is sent from now on and wakes who waits; returns whether it had not been done
  /// before.
  @discardableResult
  func markClosed(_ reason: RuntimeError) -> Bool {
    let writers = state.withLock { state -> [CheckedContinuation<Void, any Error>]? in
      guard state.closure == nil else { return nil }
      state.closure = reason
      state.fresh = []
      return state.takeWriters()
    }
    guard let writers else { return false }
    for writer in writers { writer.resume(throwing: lost(reason)) }
    return true
  }
}
