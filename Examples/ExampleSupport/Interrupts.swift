import Dispatch
import Foundation

/// Calls back on Ctrl-C and on a polite kill, instead of ending the process.
package final class Interrupts {
  private let sources: [any DispatchSourceSignal]

  package init(_ handler: @escaping @Sendable () -> Void) {
    sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler(handler: handler)
      source.resume()
      return source
    }
  }

  /// Gives the signals their usual meaning back.
  package func stop() {
    for source in sources { source.cancel() }
    for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
  }
}

/// Runs `body` in a task that Ctrl-C and a polite kill cancel.
package func interruptible<Result: Sendable>(
  _ body: @escaping @Sendable () async throws -> Result
) async throws -> Result {
  let work = Task { try await body() }
  let interrupts = Interrupts { work.cancel() }
  defer { interrupts.stop() }
  return try await work.value
}
