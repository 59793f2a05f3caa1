import ByzKit
import ByzRuntime
import ByzTCP
import ByzTensor
import ByzTesting
import Distributed
import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A process that hosts nodes for as long as it lives.
distributed actor NodeHost: RemoteActor {
  typealias ActorSystem = ByzActorSystem

  init(_ arguments: Int, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  distributed func identifier() -> Int32 { getpid() }

  distributed func listen() async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
      Task {
        do {
          try await withWorkerServer(registry: .byzKit) {
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

@Suite("Nodes on two hosts", .timeLimit(.minutes(3)))
struct HostedNodesTests {
  private func withHosts(_ body: (RemoteCluster) async throws -> Void) async throws {
    try await withWorkerServer(registry: .byzKit) { (first) async throws -> Void in
      try await withWorkerServer(registry: .byzKit) { (second) async throws -> Void in
        try await body(.hosts(.tcp(first.address), .tcp(second.address)))
      }
    }
  }

  @Test("go on at their own pace, run after run, and their records give the same bits again")
  func asynchronous() async throws {
    try await withHosts { (hosts) async throws -> Void in try await hosts.expectAsynchronousRuns() }
  }

  @Test("let one that is slower finish when the others are done")
  func pace() async throws {
    try await withHosts { (hosts) async throws -> Void in try await hosts.expectSlowNodeFinishes() }
  }

  /// The processor time of a process, in ticks of the system's clock.
  private static func processorTime(of process: Int32) -> Int {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
      let name = text.lastIndex(of: ")")
    else { return .max / 2 }
    let fields = text[name...].split(separator: " ")
    return (Int(fields[12]) ?? 0) + (Int(fields[13]) ?? 0)
  }

  /// Kills a process as soon as it has worked a little. On a thread of its own: a task may have to wait for its turn until the work is
  /// done.
  private func killWhenBusy(_ process: Int32) {
    let before = Self.processorTime(of: process)
    Thread.detachNewThread {
      while Self.processorTime(of: process) < before + 3 { sched_yield() }
      kill(process, SIGKILL)
    }
  }

  @Test(
    "go on without those of a host that is killed, between two runs or during one",
    arguments: [false, true])
  func lostHost(duringRun: Bool) async throws {
    try await withActorSystem(KitWorker.registry) { (system) async throws -> Void in
      let processes = ProcessBackend(running: KitWorker.self)
      let hosts = [
        try await system.spawn(NodeHost.self, 0, on: processes),
        try await system.spawn(NodeHost.self, 0, on: processes),
      ]
      let backend = RemoteCluster.hosts(
        .tcp(try await hosts[0].listen()), .tcp(try await hosts[1].listen()))
      let victim = try await hosts[1].identifier()
      try await withCluster(try clusterPlan(), on: backend) { (cluster) async throws -> Void in
        for result in try await cluster.run(rounds: 2) { #expect(try result.get().count == 2) }
        let rounds = duringRun ? 200 : 3
        if duringRun { killWhenBusy(victim) } else { kill(victim, SIGKILL) }
        for (node, result) in try await cluster.run(rounds: rounds).enumerated() {
          if node % 2 == 1 {
            let error = #expect(throws: RuntimeError.self) { _ = try result.get() }
            #expect(error?.code == .workerLost)
            continue
          }
          let reports = try result.get()
          #expect(reports.count == rounds)
          let last = try #require(reports.last)
          #expect(last.outcome == (last.isByzantine ? .lied : .moved))
          #expect(last.record.used.map(\.sender) == [0, 2, 4].filter { $0 != node })
        }
        let models = try await cluster.models()
        #expect(models.map { $0 == nil } == [false, true, false, true, false])
      }
    }
  }
}
