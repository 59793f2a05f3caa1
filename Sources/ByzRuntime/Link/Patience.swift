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
/// way. So a thread that has just had something to do looks again for ``length``, and lets other threads go first each time. Where
/// they take the processor for long it is needed for something better: then all threads of this process sleep at once for a while,
/// which doubles each time, from one to sixteen milliseconds.
package struct Patience: Sendable {
  /// Longer than a round trip between processes.
  package static let length = Duration.microseconds(100)
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

  /// When it was last looked, at the beginning for the first time.
  package private(set) var now: Instant
  private let end: Int64

  package init() {
    now = .now
    let isCrowded = now.nanoseconds < Self.crowdedUntil.load(ordering: .relaxed)
    end = isCrowded ? now.nanoseconds : now.nanoseconds + Self.length.inNanoseconds
  }

  /// Lets other threads go first; returns whether to look again rather than to sleep.
  package mutating func lasts() -> Bool {
    guard now.nanoseconds < end else { return false }
    sched_yield()
    let before = now
    now = .now
    if now - before > Self.interruption {
      let count = Self.interruptions.add(1, ordering: .relaxed).oldValue
      Self.crowdedUntil.store(now.nanoseconds + 1_000_000 << min(count, 4), ordering: .relaxed)
      return false
    }
    if now.nanoseconds < end { return true }
    Self.interruptions.store(0, ordering: .relaxed)
    return false
  }
}

extension Duration {
  fileprivate var inNanoseconds: Int64 {
    components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
  }
}
