import ByzKit
import ByzRuntime
import ByzRuntimeTestSupport
import Testing

/// A node that is reached over a link though it lives in this process; a mute one never says that a letter is in its mailbox, and
/// a stuck one never ends a run, or never comes to life.
private struct NodeBackend: LinkBackend {
  let name = "memory"
  let capabilities: Set<Capability> = [.cpu]
  let isSameProgram = true
  var isMute = false
  /// Told when a stuck node has been asked for what it never does.
  var stuck: Promise<Void>?
  var isBorn = true

  func openLink(named name: String) async throws -> any Link {
    let (here, there) = MemoryLink.pair()
    let (isMute, stuck, isBorn) = (isMute, stuck, isBorn)
    // Ends with the link, which whoever opened it closes.
    Task {
      if let stuck {
        await ScriptedWorker.serve(there, .byzKit) { service, peer in
          switch service {
          case .spawn where !isBorn: break
          case .invoke(_, let target, _, _) where target.contains("3run6rounds"): break
          default: return nil
          }
          stuck.settle(.success(()))
          _ = await peer.waitUntilEnded()
          return .null
        }
      } else if isMute {
        await ScriptedWorker.serve(there, .byzKit) { service, peer in
          // Not even when nobody waits any more.
          if case .put = service { _ = await peer.waitUntilEnded() }
          return nil
        }
      } else {
        await serveAsWorker(there, registry: .byzKit, isSameProgram: true)
      }
    }
    return here
  }
}

@Suite("A neighbor that never says that a letter has come", .timeLimit(.minutes(3)))
struct MuteNeighborTests {
  @Test(
    "holds up a round no longer than its deadline, and is reported",
    arguments: [GossipMode.synchronous, .asynchronous(quorum: 2, staleness: 2)])
  func mute(mode: GossipMode) async throws {
    let plan = try clusterPlan(mode, deadline: .milliseconds(300))
    let backends = (0..<5).map { NodeBackend(isMute: $0 == 3) }
    let results = try await withCluster(plan, on: RemoteCluster(backends)) { cluster in
      try await cluster.run(rounds: 2)
    }
    for (node, result) in results.enumerated() where node < 3 {
      let reports = try result.get()
      #expect(reports.count == 2)
      for report in reports { #expect(report.undelivered.contains(3), "\(node): \(report)") }
    }
  }

  @Test("and one that never ends its run holds up no run that is cancelled")
  func stuck() async throws {
    let plan = try clusterPlan(deadline: .milliseconds(300))
    let stuck = Promise<Void>()
    let backends = (0..<5).map { NodeBackend(stuck: $0 == 3 ? stuck : nil) }
    let liveness = Liveness(interval: .milliseconds(500), timeout: .seconds(3))
    let training = Task {
      try await withCluster(plan, on: RemoteCluster(backends, liveness: liveness)) { cluster in
        _ = try await cluster.run(rounds: 2)
      }
    }
    _ = await stuck.result
    training.cancel()
    await #expect(throws: CancellationError.self) { try await training.value }
  }

  @Test("and others get their reports though one never ends its run")
  func straggler() async throws {
    let plan = try clusterPlan(deadline: .milliseconds(300))
    let stuck = Promise<Void>()
    let backends = (0..<5).map { NodeBackend(stuck: $0 == 3 ? stuck : nil) }
    let liveness = Liveness(interval: .milliseconds(500), timeout: .seconds(3))
    let host = RemoteCluster(backends, liveness: liveness, stragglerFactor: 1)
    try await withCluster(plan, on: host) { cluster in
      let results = try await cluster.run(rounds: 2)
      #expect(results.count == 5)
      for (node, reports) in results.enumerated() {
        switch reports {
        case .success(let reports): #expect(node != 3 && reports.count == 2)
        case .failure(let error):
          #expect(node == 3 && (error as? RuntimeError)?.code == .workerLost, "\(error)")
        }
      }
    }
  }

  @Test("nor does a host take on more rounds than it can report, which would fill its memory")
  func tooManyRoundsForHost() async throws {
    let system = ByzActorSystem(registry: .byzKit)
    let plan = try clusterPlan(deadline: .milliseconds(300))
    let arguments = try GossipHost.Arguments(node: 0, of: plan, starter: system.host)
    let node = try await system.spawn(GossipHost.self, arguments, on: NodeBackend())
    let place = try await node.open(run: 1)
    let error = await #expect(throws: RuntimeError.self) {
      try await node.run(
        rounds: .max, from: 0, addresses: Array(repeating: place.address, count: 5))
    }
    #expect(error?.code == .limitExceeded)
    await system.stop()
  }

  @Test("and a host that never makes its node holds up no start that is cancelled")
  func unborn() async throws {
    let plan = try clusterPlan(deadline: .seconds(600))
    let asked = Promise<Void>()
    let backends = (0..<5).map { NodeBackend(stuck: $0 == 3 ? asked : nil, isBorn: false) }
    let liveness = Liveness(interval: .milliseconds(500), timeout: .seconds(3))
    let training = Task {
      try await withCluster(plan, on: RemoteCluster(backends, liveness: liveness)) { cluster in
        _ = try await cluster.run(rounds: 2)
      }
    }
    _ = await asked.result
    training.cancel()
    await #expect(throws: CancellationError.self) { try await training.value }
  }

  @Test("more rounds than can be reported at a time are refused before the first")
  func tooManyRounds() async throws {
    let plan = try clusterPlan(deadline: .milliseconds(300))
    let backends = (0..<5).map { _ in NodeBackend() }
    let error = await #expect(throws: RuntimeError.self) {
      try await withCluster(plan, on: RemoteCluster(backends)) { cluster in
        for report in try await cluster.run(rounds: 2).flatMap({ try $0.get() }) {
          var encoder = WireEncoder()
          let byteCount = try encoder.encode(report.record.used).serialized().count
          #expect(byteCount <= GossipReport.byteCount(neighbors: 8) - 1024)
          let whole = try encoder.encode(report).serialized().count
          #expect(report.dropped.isEmpty && whole <= GossipReport.byteCount(neighbors: 8))
        }
        _ = try await cluster.run(rounds: cluster.mostRounds + 1)
      }
    }
    #expect(error?.code == .invalidConfiguration)
  }
}
