#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A value behind a lock, and a way for threads to wait until it changes.
///
/// POSIX's mutex rather than `Synchronization.Mutex`: it has a condition variable, and the thread
/// sanitizer knows it.
///
/// `@unchecked Sendable`: `state` is only touched between lock and unlock, and never handed out;
/// what goes in and comes out of `withLock` is the caller's to send.
package final class Monitor<State: Sendable>: @unchecked Sendable {
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let change: UnsafeMutablePointer<pthread_cond_t>
  private var state: State

  package init(_ state: State) {
    self.state = state
    mutex = .allocate(capacity: 1)
    change = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    #if canImport(Darwin)
      pthread_cond_init(change, nil)
    #else
      // Times are on the clock that no one sets.
      var attributes = pthread_condattr_t()
      pthread_condattr_init(&attributes)
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
      pthread_cond_init(change, &attributes)
      pthread_condattr_destroy(&attributes)
    #endif
  }

  deinit {
    pthread_cond_destroy(change)
    pthread_mutex_destroy(mutex)
    change.deallocate()
    mutex.deallocate()
  }

  /// Calls `body` with the value while no one else has it. It must not come back here.
  package func withLock<R>(_ body: (inout State) throws -> R) rethrows -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&state)
  }

  /// Blocks the thread until `body`, called now and after each ``signal()``, returns something.
  package func wait<R>(until body: (inout State) -> R?) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = body(&state) { return result }
      pthread_cond_wait(change, mutex)
    }
  }

  /// What a thread that waits does after it has looked.
  package enum Look<Result> {
    case done(Result)
    /// Look again after the next ``signal()``, or at this time of the monotonic clock, whichever comes first.
    case wait(until: Duration?)
  }

  /// Blocks the thread until `look`, called now, after each ``signal()`` and at the times it names, is done.
  package func watch<R>(_ look: (inout State) -> Look<R>) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      switch look(&state) {
      case .done(let result): return result
      case .wait(nil): pthread_cond_wait(change, mutex)
      case .wait(let time?):
        let (seconds, attoseconds) = time.components
        #if canImport(Darwin)
          var now = timespec()
          clock_gettime(CLOCK_MONOTONIC, &now)
          let rest = time - .seconds(now.tv_sec) - .nanoseconds(now.tv_nsec)
          let left = max(rest, .zero).components
          var timeout = timespec(
            tv_sec: Int(left.seconds), tv_nsec: Int(left.attoseconds / 1_000_000_000))
          pthread_cond_timedwait_relative_np(change, mutex, &timeout)
        #else
          var timeout = timespec(
            tv_sec: Int(seconds), tv_nsec: Int(attoseconds / 1_000_000_000))
          pthread_cond_timedwait(change, mutex, &timeout)
        #endif
      }
    }
  }

  /// Wakes one thread that waits.
  package func signal() { pthread_cond_signal(change) }
}
