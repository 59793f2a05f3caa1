public import ByzRuntime
import ByzTensor

extension Registry {
  /// What the library itself needs of a worker: its rules' and nodes' subtasks, the nodes, and its errors.
  public static let byzKit = Registry(
    actors: [GossipHost.self],
    subtasks: [MeasureSubtask.self, CombineSubtask.self, GradientSubtask.self],
    values: [HonestNode.self],
    errors: [AggregationError.self, ModelError.self, TensorError.self])
}

/// Lets this program be started as a worker by another one, or by itself: the first line of its `main`.
///
/// ```swift
/// @main enum Program {
///   static func main() async throws {
///     runWorkerIfRequested()
///     try await withActorPool(.processes(4)) { pool in … }
///   }
/// }
/// ```
///
/// In a process that a `ProcessBackend` started it serves that process and never returns; in any other it returns at once. Nothing
/// in a worker may need the main actor, since the main thread only waits.
///
/// - Parameter registry: the program's own actors, subtasks, values and errors; the library's are added.
public func runWorkerIfRequested(_ registry: Registry = Registry()) {
  runInheritedWorker(.byzKit.merging(registry))
}
