/// Starts workers that are threads of this process.
public struct ThreadBackend: WorkerBackend {
  /// The processors that the threads keep to, one each, in turn; empty to let the system choose.
  public let processors: [Int]
  private let made = Monitor(0)

  /// Threads that run where the system puts them, or each on one of `processors`, in turn.
  ///
  /// A thread that is kept on a processor also takes new memory from its NUMA node, where libnuma is
  /// installed.
  public init(processors: [Int] = []) { self.processors = processors }

  /// `thread`.
  public var name: String { "thread" }

  /// The processor.
  public var capabilities: Set<Capability> { [.cpu] }

  /// Makes a worker; its thread starts with its first subtask.
  ///
  /// - Throws: ``RuntimeError/Code/workerStartFailed`` when the machine has no such processor.
  public func makeWorker(named name: String) async throws -> any Worker {
    ThreadWorker(name: name, processor: try nextProcessor(for: name))
  }

  /// Where the next thread is kept; nil to let the system choose.
  func nextProcessor(for name: String) throws(RuntimeError) -> Int? {
    guard !processors.isEmpty else { return nil }
    let number = made.withLock { made in
      defer { made += 1 }
      return made
    }
    let processor = processors[number % processors.count]
    guard ThreadExecutor.canRun(on: processor) else {
      throw RuntimeError(
        .workerStartFailed, "\(name) cannot run on processor \(processor) of this machine.")
    }
    return processor
  }
}

extension WorkerBackend where Self == ThreadBackend {
  /// Threads of this process.
  public static var thread: ThreadBackend { ThreadBackend() }

  /// Threads of this process, each kept on one of these processors, in turn.
  public static func thread(processors: [Int]) -> ThreadBackend {
    ThreadBackend(processors: processors)
  }
}

/// A worker that is one thread of this process, of its own: a subtask may block it without harm to
/// Swift's own threads.
package final class ThreadWorker: Worker {
  package let name: String
  private let thread: ThreadExecutor

  package init(name: String, processor: Int? = nil) {
    self.name = name
    thread = ThreadExecutor(name: name, processor: processor)
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
      return try SubtaskLoss.telling { try subtask.run(operands) }
    }
  }

  package func stop() async { await thread.stop() }
}
