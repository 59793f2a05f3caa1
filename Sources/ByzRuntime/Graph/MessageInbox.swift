/// Where messages wait for the graphs, or whoever else, that will receive them.
///
/// Each message goes to exactly one receiver. Receivers of a type are served in the order they came,
/// messages of a type in the order they were delivered. The inbox is bounded: who delivers to a full
/// one waits, or is told that the message was not taken. It holds messages of 1,024 types at a time,
/// those included that somebody waits for: let nobody you do not trust name types.
public final class MessageInbox: Sendable {
  /// A message, and which of all that came it is.
  private struct Post: Sendable {
    let number: Int
    let message: any Sendable
  }

  private struct State {
    var inbox: InboxState<Post>
    var postCount = 0
    var nextID = 0
    var senders: [Int: CheckedContinuation<Void, any Error>] = [:]
    var receivers: [Int: CheckedContinuation<Post, any Error>] = [:]
    /// Those cancelled before they began to wait.
    var cancelled: Set<Int> = []

    mutating func number(_ message: any Sendable) -> Post {
      postCount += 1
      return Post(number: postCount, message: message)
    }

    mutating func makeID() -> Int {
      nextID += 1
      return nextID
    }
  }

  private let state: Monitor<State>
  private let clock: RuntimeClock

  /// An inbox for at most `capacity` messages of each type; below 1 counts as 1.
  public convenience init(capacity: Int = 64) {
    self.init(capacity: capacity, clock: .continuous)
  }

  package init(capacity: Int, clock: RuntimeClock) {
    state = Monitor(State(inbox: InboxState(capacity: capacity)))
    self.clock = clock
  }

  /// The messages of a type that nobody has received.
  public func count(of type: String) -> Int { state.withLock { $0.inbox.count(of: type) } }

  /// How many wait, to deliver or to receive.
  package var waitingCount: Int { state.withLock { $0.inbox.waitingCount } }

  /// Takes a message in without waiting.
  ///
  /// - Returns: false when there is no room, or the inbox is closed or holds too many types: the message is the caller's to
  ///   report as lost, or to offer again.
  public func offer(_ message: any Sendable, type: String) -> Bool {
    change { state in
      let (isAccepted, directives) = state.inbox.offer(state.number(message), type)
      return (isAccepted, directives)
    }
  }

  /// Takes a message in, waiting for room if there is none.
  ///
  /// - Throws: `CancellationError`, ``RuntimeError/Code/stopped`` when the inbox is closed, or ``RuntimeError/Code/limitExceeded``
  ///   when it holds messages of 1,024 other types, or some wait for them; the message has not been taken then.
  public func deliver(_ message: any Sendable, type: String) async throws {
    let id = state.withLock { $0.makeID() }
    // After the handler of a cancellation, which may come when all is over.
    defer { forget(id) }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation {
        (continuation: CheckedContinuation<Void, any Error>) in
        change { state in
          guard !state.cancelled.contains(id) else {
            continuation.resume(throwing: CancellationError())
            return ((), [])
          }
          guard state.inbox.takes(type) else {
            continuation.resume(
              throwing: RuntimeError(
                .limitExceeded,
                "The inbox holds, or is asked for, messages of \(InboxState<Post>.maxTypes) other types: receive some first, or use fewer types."
              ))
            return ((), [])
          }
          state.senders[id] = continuation
          return ((), state.inbox.send(state.number(message), type, from: id))
        }
      }
    } onCancel: {
      cancel(id, type)
    }
  }

  /// Waits for the oldest message of a type, and takes it.
  ///
  /// A call that throws has taken no message.
  ///
  /// - Throws: ``RuntimeError/Code/deadlineExceeded`` when there is none within `timeout`;
  ///   `CancellationError`; ``RuntimeError/Code/stopped`` when the inbox is closed and has none.
  public func receive(_ type: String, timeout: Duration? = nil) async throws -> any Sendable {
    try await take(type, timeout: timeout).message
  }

  /// A message that was received.
  struct Taken: Sendable {
    let type: String
    let message: any Sendable
    fileprivate let number: Int
  }

  /// As ``receive(_:timeout:)``, of what may be put back.
  func take(_ type: String, timeout: Duration?) async throws -> Taken {
    guard let timeout else { return try await take(type) }
    return try await withThrowingTaskGroup(of: Taken?.self) { group in
      group.addTask { try await self.take(type) }
      group.addTask {
        try? await self.clock.sleep(timeout)
        return nil
      }
      defer { group.cancelAll() }
      if let message = try await group.next() ?? nil { return message }
      group.cancelAll()
      do {
        // A message that came at the last moment has been taken, so it counts.
        if let message = try await group.next() ?? nil { return message }
      } catch is CancellationError {
        try Task.checkCancellation()
      }
      throw RuntimeError(.deadlineExceeded, "No message \(type) came within \(timeout).")
    }
  }

  /// Takes back what was received, to the place that it had among those of its type; also beyond the capacity, and when the inbox is
  /// closed. If somebody waits, the first that came is received again.
  func putBack(_ messages: [Taken]) {
    change { state in
      let directives = messages.sorted { $0.number < $1.number }.flatMap { taken in
        state.inbox.putBack(Post(number: taken.number, message: taken.message), taken.type) {
          $0.number > taken.number
        }
      }
      return ((), directives)
    }
  }

  /// Takes no more messages in; those that are there can still be received.
  public func close() {
    change { ((), $0.inbox.close()) }
  }

  private func take(_ type: String) async throws -> Taken {
    let id = state.withLock { $0.makeID() }
    defer { forget(id) }
    let post = try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation {
        (continuation: CheckedContinuation<Post, any Error>) in
        change { state in
          guard !state.cancelled.contains(id) else {
            continuation.resume(throwing: CancellationError())
            return ((), [])
          }
          state.receivers[id] = continuation
          return ((), state.inbox.receive(type, by: id))
        }
      }
    } onCancel: {
      cancel(id, type)
    }
    return Taken(type: type, message: post.message, number: post.number)
  }

  private func cancel(_ id: Int, _ type: String) {
    let (sender, receiver) = state.withLock { state in
      guard state.inbox.cancel(id, type) else {
        state.cancelled.insert(id)
        return (
          CheckedContinuation<Void, any Error>?.none,
          CheckedContinuation<Post, any Error>?.none
        )
      }
      return (state.senders.removeValue(forKey: id), state.receivers.removeValue(forKey: id))
    }
    sender?.resume(throwing: CancellationError())
    receiver?.resume(throwing: CancellationError())
  }

  private func forget(_ id: Int) {
    state.withLock { _ = $0.cancelled.remove(id) }
  }

  /// Changes the state under the lock, and then does what it decided.
  private func change<R>(
    _ body: (inout State) -> (R, [InboxState<Post>.Directive])
  ) -> R {
    let (result, wakes) = state.withLock { state in
      let (result, directives) = body(&state)
      let wakes = directives.map { directive -> () -> Void in
        switch directive {
        case .give(let post, let id):
          let receiver = state.receivers.removeValue(forKey: id)
          return { receiver?.resume(returning: post) }
        case .accept(let id):
          let sender = state.senders.removeValue(forKey: id)
          return { sender?.resume() }
        case .refuse(let id):
          let error = RuntimeError(.stopped, "The inbox has been closed.")
          let sender = state.senders.removeValue(forKey: id)
          let receiver = state.receivers.removeValue(forKey: id)
          return {
            sender?.resume(throwing: error)
            receiver?.resume(throwing: error)
          }
        }
      }
      return (result, wakes)
    }
    for wake in wakes { wake() }
    return result
  }
}
