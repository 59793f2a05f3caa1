/// Where a set of subtasks may run and how many at once. It changes when work is done, never what
/// comes out.
///
/// A time limit per subtask belongs here when a backend can enforce one: a worker that overran it
/// would count as lost. A thread cannot be stopped from outside, so there is none now; cancel the
/// calling task, and let long subtasks ask `Task.isCancelled`.
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

  /// By default anywhere, as many at once as there are workers, and three attempts.
  public init(
    capability: Capability? = nil, affinity: String? = nil, maxInFlight: Int? = nil,
    maxAttempts: Int = 3
  ) {
    self.capability = capability
    self.affinity = affinity
    self.maxInFlight = maxInFlight
    self.maxAttempts = maxAttempts
  }
}
