#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Calls others at the times they ask for: one thread for the whole process, since heartbeats must not depend on threads that
/// computations may fill.
package final class Alarm: Sendable {
  /// Who is called.
  package protocol Sleeper: AnyObject, Sendable {
    /// The time has come, or an earlier one was set meanwhile; must not block.
    func wake()
  }

  /// The process's own.
  package static let shared = Alarm()

  // `@unchecked Sendable`: the weak reference is only read and written under the alarm's lock.
  private struct Entry: @unchecked Sendable {
    weak var sleeper: (any Sleeper)?
    var time: Duration
  }

  private struct State {
    var entries: [ObjectIdentifier: Entry] = [:]
    var isRunning = false
  }

  private let state = Monitor(State())

  /// Now, on the clock that alarms use.
  package static var now: Duration {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return .seconds(Int(time.tv_sec)) + .nanoseconds(Int(time.tv_nsec))
  }

  /// Calls `sleeper` at `time`, once, in place of the time it asked for before; nil for never.
  package func set(_ sleeper: some Sleeper, at time: Duration?) {
    let wakes = state.withLock { state in
      let key = ObjectIdentifier(sleeper)
      guard let time else {
        state.entries[key] = nil
        return false
      }
      let earliest = state.entries.values.map(\.time).min()
      state.entries[key] = Entry(sleeper: sleeper, time: time)
      if !state.isRunning {
        state.isRunning = startThread(named: "byzkit-alarm") { self.run() }
      }
      return earliest.map { time < $0 } ?? true
    }
    if wakes { state.signal() }
  }

  private func run() {
    while true {
      let due: [any Sleeper] = state.watch { state in
        let now = Self.now
        let ripe = state.entries.filter { $0.value.time <= now }
        guard !ripe.isEmpty else { return .wait(until: state.entries.values.map(\.time).min()) }
        for key in ripe.keys { state.entries[key] = nil }
        return .done(ripe.values.compactMap(\.sleeper))
      }
      for sleeper in due { sleeper.wake() }
    }
  }
}

/// Calls a closure when a limit is over, unless it is cleared before.
final class Deadline: Alarm.Sleeper {
  private let limit: Duration
  private let action: @Sendable () -> Void

  init(after limit: Duration, _ action: @escaping @Sendable () -> Void) {
    self.limit = limit
    self.action = action
  }

  /// The limit begins now, also if it had begun before.
  func set() { Alarm.shared.set(self, at: Alarm.now + limit) }
  func clear() { Alarm.shared.set(self, at: nil) }
  func wake() { action() }
}
