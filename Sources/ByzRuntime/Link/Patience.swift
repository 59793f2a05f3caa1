package import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The moment in which a thread looks again for what it waits for, before it sleeps.
///
/// To wake a processor that has gone idle takes longer than most calls, and in a conversation the next message is already on its
/// way. So a thread whose last wait was short looks again for ``length``, and lets other threads go first each time. After a long
/// wait it sleeps at once: who waits for a computation would only be in its way. Where others take the processor for long it is
/// needed for something better: then all threads of this process sleep at once for a while, which doubles each time, from one
/// to sixteen milliseconds.
///
/// ```swift
/// patience.begin()
/// while nothingIsThere, patience.lasts() {}
/// // Sleeps if still nothing is there.
/// patience.end()
/// ```
package struct Patience: Sendable {
  /// Longer than a round trip between processes.
  package static let length = Duration.microseconds(100)
  /// Waits up to this count as short. In a conversation of threads that sleep, each of which has to be woken, one takes as long; awake
  /// they would take no longer than ``length``.
  private static let shortWait = Duration.microseconds(500)
  /// Another thread that runs for so long computes.
  private static let interruption = Duration.microseconds(250)

  /// Until when all threads sleep at once, in nanoseconds of the monotonic clock.
  package static let crowdedUntil = Atomic<Int64>(0)
  /// How often in a row a thread was interrupted.
  private static let interruptions = Atomic<Int64>(0)

  /// A time of the monotonic clock.
  package struct Instant: Sendable {
    fileprivate var nanoseconds: Int64

    package static var now: Instant {
      var time = timespec()
      clock_gettime(CLOCK_MONOTONIC, &time)
      return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    package static func - (left: Instant, right: Instant) -> Duration {
      .nanoseconds(left.nanoseconds - right.nanoseconds)
    }
  }

  /// When it was last looked, at the beginning of the wait for the first time.
  package private(set) var now: Instant
  private var beginning: Instant
  private var isWaiting = false
  /// When to sleep.
  private var limit: Int64
  /// Whether the last wait was short; the first counts as if one had been.
  package private(set) var isWarranted = true

  package init() {
    now = .now
    beginning = now
    limit = now.nanoseconds
  }

  /// A wait begins.
  package mutating func begin() {
    now = .now
    beginning = now
    isWaiting = true
    let isCrowded = now.nanoseconds < Self.crowdedUntil.load(ordering: .relaxed)
    limit = now.nanoseconds + (isWarranted && !isCrowded ? Self.length.inNanoseconds : 0)
  }

  /// What was waited for has come. More of it that comes with it changes nothing.
  package mutating func end() {
    guard isWaiting else { return }
    isWaiting = false
    isWarranted = .now - beginning < Self.shortWait
  }

  /// Lets other threads go first; returns whether to look again rather than to sleep.
  package mutating func lasts() -> Bool {
    guard now.nanoseconds < limit else { return false }
    sched_yield()
    let before = now
    now = .now
    if now - before > Self.interruption {
      let count = Self.interruptions.add(1, ordering: .relaxed).oldValue
      Self.crowdedUntil.store(now.nanoseconds + 1_000_000 << min(count, 4), ordering: .relaxed)
      return false
    }
    if now.nanoseconds < limit { return true }
    Self.interruptions.store(0, ordering: .relaxed)
    return false
  }
}

extension Duration {
  fileprivate var inNanoseconds: Int64 {
    components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
  }
}
