/// Where a set of subtasks may run and how many at once. It changes when work is done, never what
/// comes out.
public struct SubtaskOptions: Hashable, Sendable {
  /// What a worker must be able to do; nil for any worker.
  public var capability: Capability?
  /// The name of the worker, or of the configuration, to take when it is idle. Only a preference:
  /// work never waits for it while another worker that can do it is idle.
  public var affinity: String?
  /// The most subtasks of one call that run at once; nil for as many as there are workers. A
  /// bound below 1 counts as 1.
  public var maxInFlight: Int?
  /// How often a subtask is begun before a lost worker becomes an error. At least 1.
  public var maxAttempts: Int
  /// How long one subtask may take on a worker, from when it is given to it; nil for no limit.
  ///
  /// A thread cannot be stopped from outside. There, a subtask that is late finds `Task.isCancelled`
  /// true, the caller gets ``RuntimeError/Code/deadlineExceeded`` without waiting for it, and the
  /// worker gets nothing else until the subtask ends, which the end of the pool's scope waits for.
  /// A caller that is cancelled does not wait for such a subtask either, which sees no task-local values of its caller.
  ///
  /// A worker in another process gets nothing else meanwhile either, and one that does not end the subtask within
  /// ``Liveness/timeout`` is given up as lost: a child process is killed, and another takes its place. There, a caller that is
  /// cancelled waits for the subtask until its time is over; for one in a child process, with a time or without, for ``Liveness/timeout``
  /// at most, and the child is ended then.
  public var timeout: Duration?

  /// By default anywhere, as many at once as there are workers, three attempts, and no time limit.
  public init(
    capability: Capability? = nil, affinity: String? = nil, maxInFlight: Int? = nil,
    maxAttempts: Int = 3, timeout: Duration? = nil
  ) {
    self.capability = capability
    self.affinity = affinity
    self.maxInFlight = maxInFlight
    self.maxAttempts = maxAttempts
    self.timeout = timeout
  }
}
