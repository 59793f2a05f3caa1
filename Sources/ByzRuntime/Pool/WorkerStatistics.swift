/// What one worker of a pool has done so far.
public struct WorkerStatistics: Hashable, Sendable {
  /// The worker's name.
  public let name: String
  /// The kind of worker, such as `thread`.
  public let backend: String
  /// What it can do.
  public let capabilities: Set<Capability>
  /// Whether the thread, process or connection behind it exists yet: workers start with their first
  /// subtask.
  public let isStarted: Bool
  /// Whether it was lost; it gets no more work.
  public let isLost: Bool
  /// The subtasks that returned.
  public let completed: Int
  /// The subtasks that threw.
  public let failed: Int
  /// The time it had a subtask, the way there and back included.
  public let busyTime: Duration
}
