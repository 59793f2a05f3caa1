import ByzKit
import ByzRuntime
import ByzRuntimeTestSupport
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
