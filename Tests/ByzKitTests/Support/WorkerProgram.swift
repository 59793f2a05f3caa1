import ByzKit
import ByzRuntime
import ByzWorkerSupport

/// Child processes of these tests: workers with what the library needs.
enum KitWorker: TestWorkerProgram {
  static let registry = Registry(actors: [Neighbor.self, NodeHost.self])

  static func run() -> Never {
    runWorkerIfRequested(registry)
    preconditionFailure("This process was not started as a worker.")
  }
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
