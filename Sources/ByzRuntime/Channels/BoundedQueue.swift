/// A queue of bounded length between tasks: putting waits for room, taking waits for an element, and either wait can be cancelled
/// without losing or repeating anything. ``QueueState`` decides; this carries it out.
package final class BoundedQueue<Element: Sendable>: Sendable {
  private struct State: Sendable {
    var queue: QueueState<Element>
    var senders: [Int: CheckedContinuation<Bool, any Error>] = [:]
    var receivers: [Int: CheckedContinuation<Element?, Never>] = [:]
    /// Waits that were cancelled before they began.
    var cancelled: Set<Int> = []
    var nextNumber = 0
  }

  private let state: Monitor<State>

  /// - Precondition: `capacity` is at least 1.
  package init(capacity: Int) {
    precondition(capacity >= 1, "A queue needs room for at least one element, not \(capacity).")
    state = Monitor(State(queue: QueueState(capacity: capacity)))
  }

  /// Puts an element in, waiting for room.
  ///
  /// - Returns: false when the queue is closed, and the element was not put in.
  /// - Throws: `CancellationError` when the wait was cancelled, and the element was not put in.
  package func put(_ element: Element) async throws -> Bool {
    let number = newNumber()
    defer { forget(number) }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let wasCancelled = change { state in
          if state.cancelled.remove(number) != nil { return (true, []) }
          state.senders[number] = continuation
          return (false, state.queue.put(element, by: number))
        }
        if wasCancelled { continuation.resume(throwing: CancellationError()) }
      }
    } onCancel: {
      cancel(number)
    }
  }

  /// Takes the first element, waiting for one; nil when the queue is closed and empty, or the wait was cancelled.
  package func next() async -> Element? {
    let number = newNumber()
    defer { forget(number) }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let wasCancelled = change { state in
          if state.cancelled.remove(number) != nil { return (true, []) }
          state.receivers[number] = continuation
          return (false, state.queue.take(by: number))
        }
        if wasCancelled { continuation.resume(returning: nil) }
      }
    } onCancel: {
      cancel(number)
    }
  }

  /// Takes no more elements; what is in the queue can still be taken.
  package func close() { change { ((), $0.queue.close()) } }

  private func newNumber() -> Int {
    state.withLock { state in
      state.nextNumber += 1
      return state.nextNumber
    }
  }

  /// A cancellation that came when the wait had ended is of no more use.
  private func forget(_ number: Int) {
    if Task.isCancelled { state.withLock { _ = $0.cancelled.remove(number) } }
  }

  private func cancel(_ number: Int) {
    let (sender, receiver) = state.withLock { state in
      // Not waiting: it has not begun, or has ended already.
      if !state.queue.cancel(number) { state.cancelled.insert(number) }
      return (
        state.senders.removeValue(forKey: number), state.receivers.removeValue(forKey: number)
      )
    }
    sender?.resume(throwing: CancellationError())
    receiver?.resume(returning: nil)
  }

  /// Changes the state under the lock, and then does what it decided.
  private func change<R>(_ body: (inout State) -> (R, [QueueState<Element>.Directive])) -> R {
    let (result, wakes) = state.withLock { state in
      let (result, directives) = body(&state)
      let wakes = directives.map { directive -> () -> Void in
        switch directive {
        case .give(let element, let number):
          let receiver = state.receivers.removeValue(forKey: number)
          return { receiver?.resume(returning: element) }
        case .accept(let number):
          let sender = state.senders.removeValue(forKey: number)
          return { sender?.resume(returning: true) }
        case .refuse(let number):
          let sender = state.senders.removeValue(forKey: number)
          let receiver = state.receivers.removeValue(forKey: number)
          return {
            sender?.resume(returning: false)
            receiver?.resume(returning: nil)
          }
        }
      }
      return (result, wakes)
    }
    for wake in wakes { wake() }
    return result
  }
}
