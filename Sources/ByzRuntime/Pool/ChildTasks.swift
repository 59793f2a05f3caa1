/// A scope that child tasks can be added to from anywhere while it is open.
///
/// It holds what outlives the call that asked for it, such as a subtask whose caller stopped waiting:
/// such work is still a child, of whoever is in ``run()``, and has ended when `run()` returns.
package final class ChildTasks: Sendable {
  package typealias Child = @Sendable () async -> Void

  private struct State {
    var pending: [Child] = []
    var waiting: CheckedContinuation<Child?, Never>?
    var isClosed = false
  }

  private let state = Monitor(State())

  package init() {}

  /// Runs a child, soon.
  ///
  /// - Returns: false when the scope is closed; the child does not run then.
  package func add(_ child: @escaping Child) -> Bool {
    let (isAccepted, waiting) = state.withLock { state in
      guard !state.isClosed else { return (false, CheckedContinuation<Child?, Never>?.none) }
      defer { state.waiting = nil }
      if state.waiting == nil { state.pending.append(child) }
      return (true, state.waiting)
    }
    waiting?.resume(returning: child)
    return isAccepted
  }

  /// Takes no more children. Those that were added run to their end.
  package func close() {
    let waiting = state.withLock { state in
      state.isClosed = true
      defer { state.waiting = nil }
      return state.waiting
    }
    waiting?.resume(returning: nil)
  }

  /// Runs children until the scope is closed, and returns when all have ended. Called once. When the
  /// calling task is cancelled, so are they, also those still to come.
  package func run() async {
    await withDiscardingTaskGroup { group in
      while let child = await next() { group.addTask(operation: child) }
    }
  }

  private func next() async -> Child? {
    await withCheckedContinuation { continuation in
      let next: Child?? = state.withLock { state in
        if !state.pending.isEmpty { return .some(state.pending.removeFirst()) }
        if state.isClosed { return .some(nil) }
        state.waiting = continuation
        return nil
      }
      if let next { continuation.resume(returning: next) }
    }
  }
}
