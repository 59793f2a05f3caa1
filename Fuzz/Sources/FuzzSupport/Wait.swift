import Dispatch

/// What a task returns; the fuzzer's thread waits for it.
public func wait<R: Sendable>(_ body: @escaping @Sendable () async -> R) -> R {
  let done = DispatchSemaphore(value: 0)
  // Written before the signal, and read after it.
  nonisolated(unsafe) var result: R?
  Task.detached {
    result = await body()
    done.signal()
  }
  done.wait()
  guard let result else { fatalError("A task ended without a result.") }
  return result
}
