import ByzKit
import ByzRuntime
import ByzTesting
import ByzUCX
import Distributed
import Foundation
import Testing

@Suite("A process that is killed while its tensors are read", .timeLimit(.minutes(3)))
struct KilledSenderTests {
  @Test(
    "is lost, and nothing else: over UCX others read from its memory",
    .enabled(if: UCX.isAvailable))
  func killed() async throws {
    let liveness = Liveness(interval: .milliseconds(100), timeout: .seconds(4))
    let registry = Registry(actors: [SpringHost.self, Spring.self])
    try await withActorSystem(registry, liveness: liveness) { (system) async throws -> Void in
      for _ in 0..<8 {
        let host = try await system.spawn(
          SpringHost.self, 0, on: ProcessBackend(running: SpringWorker.self))
        let address = try await host.listen()
        let spring = try await system.spawn(
          Spring.self, 0, on: .ucx(String(address.trimmingPrefix("ucx://"))))
        let process = try await host.identifier()
        #expect(try await spring.pour().shape == [Spring.count])
        await withTaskGroup(of: RuntimeError.Code?.self) { group in
          for _ in 0..<6 {
            group.addTask {
              // One after another, until it is gone.
              while true {
                do { _ = try await spring.pour() } catch { return (error as? RuntimeError)?.code }
              }
            }
          }
          _ = try? await spring.pour()
          #expect(kill(process, SIGKILL) == 0)
          for await code in group { #expect(code == .workerLost) }
        }
      }
    }
  }
}

/// Has tensors to give.
distributed actor Spring: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  static let count = 1 << 20
  private let water = Tensor<Float>(repeating: 1, shape: [Spring.count])

  init(_ arguments: Int, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  distributed func pour() -> Tensor<Float> { water }
}

/// A process that serves workers over UCX.
distributed actor SpringHost: RemoteActor {
  typealias ActorSystem = ByzActorSystem

  init(_ arguments: Int, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  distributed func identifier() -> Int32 { getpid() }

  /// Serves for as long as the process lives.
  distributed func listen() async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
      Task {
        do {
          try await withUCXWorkerServer(
            on: "127.0.0.1:0", registry: Registry(actors: [Spring.self])
          ) {
            continuation.resume(returning: $0.address)
            await $0.waitUntilDraining()
          }
        } catch {
          continuation.resume(throwing: error)
        }
      }
    }
  }
}

/// The child processes of these tests.
enum SpringWorker: TestWorkerProgram {
  static func run() -> Never {
    runWorkerIfRequested(Registry(actors: [SpringHost.self]))
    preconditionFailure("This process was not started as a worker.")
  }
}
