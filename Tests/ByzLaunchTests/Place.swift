import ByzKit
import ByzLaunch
import ByzRuntime
import ByzTCP
import ByzTesting
import ByzUCX

/// Where an actor of a test may live.
enum Place: String, CaseIterable, Sendable {
  case thread, process, tcp, ucx

  /// Those that this machine has.
  static let all = allCases.filter { $0 != .ucx || UCX.isAvailable }

  /// Hands `body` the backend that spawns actors there.
  func withBackend(_ body: (any WorkerBackend) async throws -> Void) async throws {
    switch self {
    case .thread: try await body(.thread)
    case .process: try await body(ProcessBackend(running: PlaceWorker.self))
    case .tcp:
      // Other tests may keep this process's tasks from saying hello for long.
      var options = TCPListenerOptions()
      options.handshakeTimeout = .seconds(60)
      try await withWorkerServer(registry: PlaceWorker.registry, listener: options) { server in
        try await body(.tcp(server.address))
      }
    case .ucx:
      try await withUCXWorkerServer(on: "127.0.0.1:0", registry: PlaceWorker.registry) { server in
        try await body(.ucx(String(server.address.trimmingPrefix("ucx://"))))
      }
    }
  }
}

/// The child processes of these tests, and what they and the hosts know.
enum PlaceWorker: TestWorkerProgram {
  static let registry = Registry(actors: [Clerk.self, Postman.self], errors: [Refusal.self])
}
