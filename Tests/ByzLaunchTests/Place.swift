import ByzKit
import ByzLaunch
import ByzRuntime
import ByzTCP
import ByzUCX
import ByzWorkerSupport

/// Where an actor of a test may live.
enum Place: String, CaseIterable, Sendable {
  case thread, process, tcp, ucx

  /// Those that this machine has.
  static let all = allCases.filter { $0 != .ucx || UCX.isAvailable }

  /// Hands `body` a system and the backend that spawns actors there.
  func run(_ body: (ByzActorSystem, any WorkerBackend) async throws -> Void) async throws {
    try await withActorSystem(PlaceWorker.registry) { (system) async throws -> Void in
      switch self {
      case .thread: try await body(system, .thread)
      case .process: try await body(system, ProcessBackend(running: PlaceWorker.self))
      case .tcp:
        try await withWorkerServer(registry: PlaceWorker.registry) { server in
          try await body(system, .tcp(server.address))
        }
      case .ucx:
        try await withUCXWorkerServer(on: "127.0.0.1:0", registry: PlaceWorker.registry) {
          server in
          try await body(system, .ucx(String(server.address.trimmingPrefix("ucx://"))))
        }
      }
    }
  }
}

/// The child processes of these tests, and what they and the hosts know.
enum PlaceWorker: TestWorkerProgram {
  static let registry = Registry(actors: [Clerk.self], errors: [Refusal.self])

  static func run() -> Never {
    runWorkerIfRequested(registry)
    preconditionFailure("This process was not started as a worker.")
  }
}
