/// A queue of bounded length between tasks: putting waits for room, taking waits for an element, and either wait can be cancelled
/// without losing or repeating anything.
package final class BoundedQueue<Element: Sendable>: Sendable {
  private struct Sender {
    let number: UInt64
    let element: Element
    let continuation: CheckedContinuation<Bool, any Error>
  }

  private struct Receiver {
    let number: UInt64
    let continuation: CheckedContinuation<Element?, Never>
  }

  private struct State: Sendable {
    var elements: [Element] = []
    var senders: [Sender] = []
    var receivers: [Receiver] = []
    /// Waits that were cancelled before they began.
    var cancelled: Set<UInt64> = []
    var nextNumber: UInt64 = 0
    var isClosed = false
  }

  private let capacity: Int
  private let state = Monitor(State())

  /// - Precondition: `capacity` is at least 1.
  package init(capacity: Int) {
    precondition(capacity >= 1, "A queue needs room for at least one element, not \(capacity).")
    self.capacity = capacity
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
        let resume: (() -> Void)? = state.withLock { state in
          if state.cancelled.remove(number) != nil {
            return { continuation.resume(throwing: CancellationError()) }
          }
          if state.isClosed { return { continuation.resume(returning: false) } }
          if !state.receivers.isEmpty {
            let receiver = state.receivers.removeFirst()
            return {
              receiver.continuation.resume(returning: element)
              continuation.resume(returning: true)
            }
          }
          guard state.elements.count < capacity else {
            state.senders.append(
              Sender(number: number, element: element, continuation: continuation))
            return nil
          }
          state.elements.append(element)
          return { continuation.resume(returning: true) }
        }
        resume?()
      }
    } onCancel: {
      cancel(number) { state in
        guard let index = state.senders.firstIndex(where: { $0.number == number }) else {
          return nil
        }
        let sender = state.senders.remove(at: index)
        return { sender.continuation.resume(throwing: CancellationError()) }
      }
    }
  }

  /// Takes the first element, waiting for one; nil when the queue is closed and empty, or the wait was cancelled.
  package func next() async -> Element? {
    let number = newNumber()
    defer { forget(number) }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let resume: (() -> Void)? = state.withLock { state in
          if state.cancelled.remove(number) != nil {
            return { continuation.resume(returning: nil) }
          }
          guard !state.elements.isEmpty else {
            if state.isClosed { return { continuation.resume(returning: nil) } }
            state.receivers.append(Receiver(number: number, continuation: continuation))
            return nil
          }
          let element = state.elements.removeFirst()
          guard !state.senders.isEmpty else { return { continuation.resume(returning: element) } }
          let sender = state.senders.removeFirst()
          state.elements.append(sender.element)
          return {
            sender.continuation.resume(returning: true)
            continuation.resume(returning: element)
          }
        }
        resume?()
      }
    } onCancel: {
      cancel(number) { state in
        guard let index = state.receivers.firstIndex(where: { $0.number == number }) else {
          return nil
        }
        let receiver = state.receivers.remove(at: index)
        return { receiver.continuation.resume(returning: nil) }
      }
    }
  }

  /// Takes no more elements; what is in the queue can still be taken.
  package func close() {
    let (senders, receivers) = state.withLock { state in
      state.isClosed = true
      defer { (state.senders, state.receivers) = ([], []) }
      return (state.senders, state.receivers)
    }
    for sender in senders { sender.continuation.resume(returning: false) }
    for receiver in receivers { receiver.continuation.resume(returning: nil) }
  }

  private func newNumber() -> UInt64 {
    state.withLock { state in
      state.nextNumber += 1
      return state.nextNumber
    }
  }

  /// A cancellation that came when the wait had ended is of no more use.
  private func forget(_ number: UInt64) {
    if Task.isCancelled { state.withLock { _ = $0.cancelled.remove(number) } }
  }

  private func cancel(_ number: UInt64, find: (inout State) -> (() -> Void)?) {
    let resume = state.withLock { state in
      let resume = find(&state)
      // Not waiting: it has not begun, or has ended already.
      if resume == nil { state.cancelled.insert(number) }
      return resume
    }
    resume?()
  }
}
