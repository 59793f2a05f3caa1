/// Something that a worker can do and a subtask may require, such as running on a GPU.
public struct Capability: Hashable, Codable, Sendable, ExpressibleByStringLiteral,
  CustomStringConvertible
{
  /// The name that subtasks ask for.
  public let description: String

  /// A capability of your own.
  public init(_ name: String) { description = name }

  /// A capability of your own, written as its name.
  public init(stringLiteral name: String) { self.init(name) }

  /// Runs on the processor.
  public static let cpu: Capability = "cpu"
}

/// A number of equal workers in a pool. A pool may have several of these.
///
/// ```swift
/// let reader = WorkerConfiguration.threads(1, capabilities: [.cpu, "disk"], name: "reader")
/// try await withActorPool(.threads(4), reader) { pool in … }
/// ```
public struct WorkerConfiguration: Sendable {
  /// What starts each worker.
  public let backend: any WorkerBackend
  /// How many there are, at least 1.
  public let count: Int
  /// What each of them can do.
  public let capabilities: Set<Capability>
  /// What their names begin with: `name-0`, `name-1` and so on.
  public let name: String
  /// When a lost worker is replaced.
  public let restarts: RestartPolicy

  /// `count` workers started by `backend`; capabilities and name are the backend's unless given.
  public init(
    backend: some WorkerBackend, count: Int = 1, capabilities: Set<Capability>? = nil,
    name: String? = nil, restarts: RestartPolicy = RestartPolicy()
  ) {
    self.backend = backend
    self.count = count
    self.capabilities = capabilities ?? backend.capabilities
    self.name = name ?? backend.name
    self.restarts = restarts
  }

  /// Threads of this process.
  public static func threads(
    _ count: Int, capabilities: Set<Capability>? = nil, name: String? = nil
  ) -> WorkerConfiguration {
    WorkerConfiguration(backend: .thread, count: count, capabilities: capabilities, name: name)
  }
}
