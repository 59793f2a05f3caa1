/// Time as the runtime sees it: how much has passed, and a way to wait. Tests and simulations bring
/// their own.
package struct RuntimeClock: Sendable {
  /// The time since this value was made.
  package let now: @Sendable () -> Duration
  /// Returns after that time; throws when the calling task is cancelled.
  package let sleep: @Sendable (Duration) async throws -> Void

  package init<Source: Clock>(_ clock: Source) where Source.Duration == Duration {
    let start = clock.now
    now = { start.duration(to: clock.now) }
    sleep = {
      let end = clock.now.advanced(by: min($0, CallDeadline.longest))
      try await clock.sleep(until: end, tolerance: nil)
    }
  }

  /// Time that also passes while the machine sleeps.
  package static var continuous: RuntimeClock { RuntimeClock(ContinuousClock()) }
}
