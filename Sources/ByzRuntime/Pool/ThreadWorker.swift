/// Starts workers that are threads of this process.
public struct ThreadBackend: WorkerBackend {
  /// The recipe; it has nothing to set.
  public init() {}

  /// `thread`.
  public var name: String { "thread" }

  /// The processor.
  public var capabilities: Set<Capability> { [.cpu] }

  /// Makes a worker; its thread starts with its first subtask.
  public func makeWorker(named name: String) async throws -> any Worker { ThreadWorker(name: name) }
}

extension WorkerBackend where Self == ThreadBackend {
  /// Threads of this process.
  public static var thread: ThreadBackend { ThreadBackend() }
}

/// A worker that is one thread of this process, of its own: a subtask may block it without harm to
/// Swift's own threads.
package final class ThreadWorker: Worker {
  package let name: String
  private let thread: ThreadExecutor

  package init(name: String) {
    self.name = name
    thread = ThreadExecutor(name: name)
  }

  package var isStarted: Bool { thread.isRunning }
  package var executor: (any TaskExecutor)? { thread }

  package func run<S: Subtask>(_ subtask: S, operands: Operands) async throws -> S.Output {
    try thread.start()
    return try await withTaskExecutorPreference(thread) {
      // Asked on the thread, after the wait for it.
      try Task.checkCancellation()
      guard self.thread.isRunning else {
        throw RuntimeError(.stopped, "Worker \(self.name) has been stopped.")
      }
      return try subtask.run(operands)
    }
  }

  package func stop() async { await thread.stop() }
}
