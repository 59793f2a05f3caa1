import ByzKit
import ByzRuntime
import Testing

/// A node that is reached over a link though it lives in this process; a mute one never says that a letter is in its mailbox.
private struct NodeBackend: LinkBackend {
  let name = "memory"
  let capabilities: Set<Capability> = [.cpu]
  let isSameProgram = true
  let isMute: Bool

  func openLink(named name: String) async throws -> any Link {
    let (here, there) = MemoryLink.pair()
    let isMute = isMute
    // Ends with the link, which whoever opened it closes.
    Task {
      if isMute {
        await MuteServer.serve(there)
      } else {
        await serveAsWorker(there, registry: .byzKit, isSameProgram: true)
      }
    }
    return here
  }
}

private final class MuteServer: CallServer {
  private let host: WorkerHost

  private init(_ host: WorkerHost) { self.host = host }

  static func serve(_ link: any Link) async {
    let system = ByzActorSystem(registry: .byzKit)
    let host = WorkerHost(system: system, isWorker: true)
    let peer = Peer(link: link, server: MuteServer(host), hello: system.hello(namesBLAS: false))
    _ = try? await peer.open()
    _ = await peer.waitUntilEnded()
    await host.connectionEnded()
    await system.stop()
  }

  func executor(for call: Message) -> (any TaskExecutor)? { host.executor(for: call) }

  func serve(_ call: Message, from peer: Peer) async -> Message {
    let value = try? WireValue(parsing: call.body, limits: WireLimits())
    if let value, case .put? = try? Service(value) {
      // Not even when nobody waits any more.
      _ = await peer.waitUntilEnded()
    }
    return await host.serve(call, from: peer)
  }
}

@Suite("A neighbor that never says that a letter has come", .timeLimit(.minutes(3)))
struct MuteNeighborTests {
  @Test("holds up a round no longer than its deadline, and is reported")
  func mute() async throws {
    let plan = try clusterPlan(deadline: .milliseconds(300))
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
}
