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
  /// Whether it is lost now; it gets no more work unless it is replaced.
  public let isLost: Bool
  /// How often it was lost.
  public let losses: Int
  /// How often another was made in its place, under the same name.
  public let restarts: Int
  /// The subtasks that returned.
  public let completed: Int
  /// The subtasks that threw.
  public let failed: Int
  /// The time it had a subtask, the way there and back included.
  public let busyTime: Duration
}
