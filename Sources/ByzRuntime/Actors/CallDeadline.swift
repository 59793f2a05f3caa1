/// How long calls may take: a deadline belongs to a task and what it calls, also in other processes.
package enum CallDeadline {
  @TaskLocal static var current: ContinuousClock.Instant?

  /// What is left of it; nil for no limit.
  package static var timeLeft: Duration? { current.map { $0 - .now } }

  /// A hundred years: longer than anyone waits, and not too long for a clock to add to its time.
  static let longest = Duration.seconds(100 * 365 * 86_400)

  /// The time that is so long from now, ``longest`` at most.
  static func after(_ limit: Duration) -> ContinuousClock.Instant { .now + min(limit, longest) }
}

/// Runs `body` with a limit: when the time is over its task is cancelled, and calls of actors it waits for end, wherever they run.
///
/// ```swift
/// let sum = try await withDeadline(.seconds(2)) { try await calculator.add(1, 2) }
/// ```
///
/// Limits within limits: the earliest holds.
///
/// - Throws: ``RuntimeError/Code/deadlineExceeded`` when `body` ended with an error after the time was over; else what `body` throws.
public func withDeadline<Result: Sendable>(
  _ limit: Duration, body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  let ownDeadline = CallDeadline.after(limit)
  let deadline = min(ownDeadline, CallDeadline.current ?? ownDeadline)
  return try await withThrowingTaskGroup(of: Result?.self) { group in
    group.addTask {
      try await CallDeadline.$current.withValue(deadline) { try await body() }
    }
    group.addTask {
      try? await Task.sleep(until: deadline, clock: .continuous)
      return nil
    }
    defer { group.cancelAll() }
    do {
      if case let result?? = try await group.next() { return result }
      group.cancelAll()
      if case let result?? = try await group.next() { return result }
    } catch  where ContinuousClock.now >= deadline {
      throw RuntimeError(.deadlineExceeded, "It took longer than \(limit).", cause: error)
    }
    throw RuntimeError(.deadlineExceeded, "It took longer than \(limit).")
  }
}
