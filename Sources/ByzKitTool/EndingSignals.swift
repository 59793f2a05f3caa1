import ByzRuntime
import Dispatch
import Foundation

/// SIGTERM and SIGINT: the first one is waited for, a second one ends the process at once.
final class EndingSignals {
  private let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
  private var sources: [any DispatchSourceSignal] = []

  /// Handles both signals from now on.
  ///
  /// - Parameter limit: a while after so long from the first signal the process ends, whatever still runs.
  init(limit: Duration) {
    let (count, stop, continuation) = (Monitor(0), HardStop(), continuation)
    for number in [SIGTERM, SIGINT] {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        let isFirst = count.withLock { count in
          count += 1
          return count == 1
        }
        guard isFirst else { _exit(128 + number) }
        Alarm.shared.set(stop, at: Alarm.now + limit + .seconds(2))
        continuation.yield()
      }
      source.resume()
      sources.append(source)
    }
  }

  /// Returns when one has come.
  func first() async {
    for await _ in stream { return }
  }

  /// Computations that take no notice of their cancellation are not waited for.
  private final class HardStop: Alarm.Sleeper {
    func wake() { _exit(1) }
  }
}
