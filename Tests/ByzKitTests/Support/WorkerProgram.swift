import ByzKit
import ByzRuntime
import ByzTesting

/// Child processes of these tests: workers with what the library needs.
enum KitWorker: TestWorkerProgram {
  static let registry = Registry(actors: [Neighbor.self, NodeHost.self])
}

extension WorkerConfiguration {
  /// Child processes of the test.
  static func testProcesses(
    _ count: Int, name: String = "process", restarts: RestartPolicy = RestartPolicy()
  ) -> WorkerConfiguration {
    WorkerConfiguration(
      backend: ProcessBackend(running: KitWorker.self), count: count, name: name,
      restarts: restarts)
  }
}
