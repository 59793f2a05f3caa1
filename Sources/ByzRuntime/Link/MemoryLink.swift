/// A link between two ends in one process: messages pass as they are. For tests of what stands above links.
package final class MemoryLink: Link {
  package let peerName: String
  package let limits: WireLimits
  private let state = Monitor(State())

  private struct State: Sendable {
    /// Strong until the link closes: each end keeps the other.
    var other: MemoryLink?
    var receiver: (any LinkReceiver)?
    /// What came before the receiver, and what is being delivered.
    var incoming: [Message] = []
    var isDelivering = false
    var reason: RuntimeError?
    var isTold = false
  }

  private init(peerName: String, limits: WireLimits) {
    self.peerName = peerName
    self.limits = limits
  }

  /// The two ends of a new link. They check no message against `limits`.
  package static func pair(limits: WireLimits = WireLimits()) -> (MemoryLink, MemoryLink) {
    let a = MemoryLink(peerName: "memory b", limits: limits)
    let b = MemoryLink(peerName: "memory a", limits: limits)
    a.state.withLock { $0.other = b }
    b.state.withLock { $0.other = a }
    return (a, b)
  }

  package func start(_ receiver: any LinkReceiver) {
    state.withLock { $0.receiver = receiver }
    deliver()
  }

  package func send(_ message: Message) { state.withLock { $0.other }?.take(message) }

  package func waitUntilWritable() async throws {
    if let reason = state.withLock({ $0.reason }) {
      throw RuntimeError(.workerLost, reason.message, cause: reason)
    }
  }

  package func close(_ reason: RuntimeError) {
    let other = end(reason)
    _ = other?.end(RuntimeError(.workerLost, "The other side closed the link."))
  }

  private func take(_ message: Message) {
    state.withLock { if $0.reason == nil { $0.incoming.append(message) } }
    deliver()
  }

  private func end(_ reason: RuntimeError) -> MemoryLink? {
    let other = state.withLock { state in
      if state.reason == nil { state.reason = reason }
      defer { state.other = nil }
      return state.other
    }
    deliver()
    return other
  }

  /// Hands over what has come, one thread at a time and in order; a thread that comes meanwhile leaves its message to the other.
  private func deliver() {
    while true {
      let next: (() -> Void)? = state.withLock { state in
        guard !state.isDelivering, let receiver = state.receiver else { return nil }
        if !state.incoming.isEmpty {
          let message = state.incoming.removeFirst()
          state.isDelivering = true
          return { receiver.receive(message) }
        }
        guard let reason = state.reason, !state.isTold else { return nil }
        state.isTold = true
        state.isDelivering = true
        return { receiver.linkClosed(reason) }
      }
      guard let next else { return }
      next()
      state.withLock { state in
        state.isDelivering = false
        if state.isTold { state.receiver = nil }
      }
    }
  }
}
