/// A recipe that starts workers of one kind: threads here, processes and machines in other targets.
public protocol WorkerBackend: Sendable {
  /// The kind, in one word: the default name of its workers.
  var name: String { get }
  /// What its workers can do unless the configuration says otherwise.
  var capabilities: Set<Capability> { get }

  /// Makes a worker.
  ///
  /// A pool calls it once per worker, before any work. The worker may put off the expensive part
  /// until its first subtask.
  ///
  /// - Throws: ``RuntimeError/Code/workerStartFailed`` when the worker cannot exist.
  func makeWorker(named name: String) async throws -> any Worker

  /// Makes a worker in the place of one of the same name that was lost.
  ///
  /// A pool calls it after the loss, perhaps before the lost one has ended.
  ///
  /// - Parameters:
  ///   - name: the lost worker's.
  ///   - epoch: the number of this life of the worker, from 1; never the same for two of one name
  ///     in a pool. What an earlier life still sends must not be taken for this one's.
  /// - Throws: as ``makeWorker(named:)``.
  func makeWorker(named name: String, epoch: UInt32) async throws -> any Worker
}

extension WorkerBackend {
  /// Makes a worker as for the first time: for backends whose workers share nothing with earlier
  /// ones.
  public func makeWorker(named name: String, epoch: UInt32) async throws -> any Worker {
    try await makeWorker(named: name)
  }
}

/// Something that runs subtasks, one at a time when a pool feeds it.
public protocol Worker: AnyObject, Sendable {
  /// Its name, unique in a pool.
  var name: String { get }
  /// Whether the thread, process or connection behind it exists yet.
  var isStarted: Bool { get }
  /// The executor that ``run(_:operands:)`` runs on if it is one of this process, else nil.
  ///
  /// A pool stays on it between two subtasks for the same worker, which saves the way to another
  /// thread and back.
  var executor: (any TaskExecutor)? { get }

  /// Runs a subtask and returns what it returned.
  ///
  /// A pool calls it on ``executor`` or, where that is nil, where the call itself runs: there it must
  /// wait for the answer by suspending, and not compute.
  ///
  /// When the calling task is cancelled, `Task.isCancelled` is true inside the subtask, and a
  /// subtask that has not begun does not begin.
  ///
  /// - Throws: what the subtask threw; `CancellationError` when it was cancelled before it began;
  ///   ``RuntimeError/Code/workerLost`` when the worker is gone, so that the subtask may run again
  ///   elsewhere; ``RuntimeError/Code/stopped`` after ``stop()``.
  func run<S: Subtask>(_ subtask: S, operands: Operands) async throws -> S.Output

  /// Whether ``run(_:operands:timeout:)`` ends by itself when the time is over. If not, the pool
  /// stops waiting, and the worker counts as busy until the subtask ends.
  var endsOverdueSubtasks: Bool { get }

  /// Returns when a subtask that ``run(_:operands:timeout:)`` has not waited for is over, or the worker is given up as lost. The pool
  /// gives the worker nothing else meanwhile.
  func waitUntilFree() async

  /// Calls `body` when the worker is lost, whether it has a subtask or not; at once if it is. Whoever waits for a subtask is told by
  /// ``run(_:operands:)``. A worker that cannot tell never calls it, and the pool notices by the next subtask.
  func whenLost(_ body: @escaping @Sendable () -> Void)

  /// As ``run(_:operands:)``, within `timeout` from now if there is one and ``endsOverdueSubtasks`` is true.
  ///
  /// - Throws: as ``run(_:operands:)``; when the time is over,
  ///   ``RuntimeError/Code/workerLost`` if the subtask may run again elsewhere,
  ///   ``RuntimeError/Code/deadlineExceeded`` if it may not.
  func run<S: Subtask>(
    _ subtask: S, operands: Operands, timeout: Duration?
  ) async throws -> S.Output

  /// Finishes what is running, then ends. Returns when nothing of the worker is left; calling it
  /// again does nothing.
  func stop() async
}

extension Worker {
  /// None: the worker is not a thread of this process.
  public var executor: (any TaskExecutor)? { nil }

  /// No.
  public var endsOverdueSubtasks: Bool { false }

  /// At once: none is left running.
  public func waitUntilFree() async {}

  /// Never.
  public func whenLost(_ body: @escaping @Sendable () -> Void) {}

  /// Runs the subtask, however long it takes.
  public func run<S: Subtask>(
    _ subtask: S, operands: Operands, timeout: Duration?
  ) async throws -> S.Output {
    try await run(subtask, operands: operands)
  }
}

/// What a worker throws for a subtask that threw ``RuntimeError/Code/workerLost`` by itself: it has lost a worker of its own, and the
/// one that it ran on is well.
struct SubtaskLoss: Error {
  let error: RuntimeError

  /// Tells whose loss it is that `body`, which is the subtask or has its answer, throws.
  static func telling<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as RuntimeError where error.code == .workerLost {
      throw SubtaskLoss(error: error)
    }
  }
}
