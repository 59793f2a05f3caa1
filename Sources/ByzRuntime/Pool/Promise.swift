/// A result that one of several gives, whoever is first, and that others wait for.
package final class Promise<Value: Sendable>: Sendable {
  private struct State {
    var result: Result<Value, any Error>?
    var waiting: [CheckedContinuation<Result<Value, any Error>, Never>] = []
  }

  private let state = Monitor(State())

  package init() {}

  /// Gives the result, unless there is one.
  ///
  /// - Returns: whether this was the first.
  @discardableResult
  package func settle(_ result: Result<Value, any Error>) -> Bool {
    let waiting = state.withLock { state in
      guard state.result == nil else {
        return [CheckedContinuation<Result<Value, any Error>, Never>]?.none
      }
      state.result = result
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting ?? [] { continuation.resume(returning: result) }
    return waiting != nil
  }

  /// The result, when there is one. Does not end early when the calling task is cancelled: let
  /// cancellation settle the promise.
  package var result: Result<Value, any Error> {
    get async {
      await withCheckedContinuation { continuation in
        let result = state.withLock { state in
          if state.result == nil { state.waiting.append(continuation) }
          return state.result
        }
        if let result { continuation.resume(returning: result) }
      }
    }
  }
}
