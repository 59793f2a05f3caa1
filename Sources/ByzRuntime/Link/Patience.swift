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
/// which doubles each time, from a millisecond to a second.
package struct Patience: Sendable {
  /// Longer than a round trip between processes.
  package static let length = Duration.microseconds(100)
  /// Another thread that runs for so long computes.
  private static let interruption = Duration.microseconds(250)

  /// Until when all threads sleep at once, in nanoseconds of the monotonic clock.
  package static let crowdedUntil = Atomic<Int64>(0)
  /// How often in a row a thread was interrupted.
  private static let interruptions = Atomic<Int64>(0)

  private var now: Int64
  private let end: Int64

  package init() {
    now = Self.nanoseconds()
    end = now < Self.crowdedUntil.load(ordering: .relaxed) ? now : now + Self.length.inNanoseconds
  }

  /// Lets other threads go first; returns whether to look again rather than to sleep.
  package mutating func lasts() -> Bool {
    guard now < end else { return false }
    sched_yield()
    let before = now
    now = Self.nanoseconds()
    if now - before > Self.interruption.inNanoseconds {
      let count = Self.interruptions.add(1, ordering: .relaxed).oldValue
      Self.crowdedUntil.store(now + 1_000_000 << min(count, 10), ordering: .relaxed)
      return false
    }
    if now < end { return true }
    Self.interruptions.store(0, ordering: .relaxed)
    return false
  }

  private static func nanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

extension Duration {
  fileprivate var inNanoseconds: Int64 {
    components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
  }
}
