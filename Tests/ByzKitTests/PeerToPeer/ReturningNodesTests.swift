import ByzKit
import ByzRuntime
import ByzTensor
import Testing

/// A model of which one gradient is lost with the worker that computes it.
private struct UnluckyModel: Model {
  let model: SoftmaxRegression
  /// How many gradients come before that one.
  let countdown: Monitor<Int>

  var parameterCount: Int { model.parameterCount }
  var inputCount: Int { model.inputCount }
  var classCount: Int { model.classCount }

  func initialParameters(key: RandomKey) -> Tensor<Float> { model.initialParameters(key: key) }

  func gradient(
    at parameters: Tensor<Float>, on batch: Batch, into gradient: inout Tensor<Float>,
    workspace: Workspace
  ) throws -> Float {
    let isLost = countdown.withLock { count in
      count -= 1
      return count == -1
    }
    if isLost { throw RuntimeError(.workerLost, "The test loses a worker.") }
    return try model.gradient(at: parameters, on: batch, into: &gradient, workspace: workspace)
  }

  func logits(
    at parameters: Tensor<Float>, for inputs: Tensor<Float>, workspace: Workspace
  ) throws -> Tensor<Float> {
    try model.logits(at: parameters, for: inputs, workspace: workspace)
  }
}

/// The way to a host in this process, which can be broken.
private struct BreakableBackend: LinkBackend {
  let name = "memory"
  let capabilities: Set<Capability> = [.cpu]
  let dialAddress: String? = "memory://host"
  let host: WorkerSessions
  private let links = Monitor<[any Link]>([])

  init(to host: WorkerSessions) { self.host = host }

  func openLink(named name: String) async throws -> any Link {
    let (here, there) = MemoryLink.pair()
    links.withLock { $0.append(here) }
    host.accept(there, nil)
    return here
  }

  func breakConnections() {
    for link in links.withLock({ $0 }) {
      link.close(RuntimeError(.workerLost, "The test breaks the connection."))
    }
  }
}

@Suite("Nodes that are back", .timeLimit(.minutes(3)))
struct ReturningNodesTests {
  @Test("go on where the others are when they failed in the run before, and no round waits in vain")
  func failed() async throws {
    let peers = try Peers()
    let unlucky = try HonestNode(
      name: "unlucky", model: UnluckyModel(model: peers.model, countdown: Monitor(1)),
      data: peers.data, batchSize: 8, key: peers.key)
    let nodes = try peers.honest(2) + [unlucky]
    let plan = ClusterPlan(
      nodes.map { .honest($0, aggregator: .mean, optimizer: peers.optimizer) },
      topology: try .complete(3), models: peers.models(3), deadline: .seconds(10))
    let start = try PeerToPeer(plan.participants, topology: plan.topology, models: plan.models)
    try await withCluster(plan) { (cluster) async throws -> Void in
      let first = try await cluster.run(rounds: 3)
      #expect(throws: RuntimeError.self) { _ = try first[2].get() }
      var records: [GossipRecord] = []
      for result in first.prefix(2) { records += try result.get().records }
      #expect(records.map(\.round) == [0, 1, 2, 0, 1, 2])
      for (node, result) in try await cluster.run(rounds: 2).enumerated() {
        let reports = try result.get()
        #expect(reports.map(\.record.round) == [3, 4])
        for report in reports {
          #expect(report.outcome == .moved)
          #expect(report.record.used.map(\.sender) == (0..<3).filter { $0 != node })
        }
        records += reports.records
      }
      // What the failed run took from that node is not in the records.
      var replayed = start
      await #expect(throws: PeerToPeerError.self) { try await replayed.replay(records) }
    }
  }

  @Test("go on where the others are when their connection broke in the run before")
  func foundAgain() async throws {
    // Mail between the nodes goes through this process.
    let host = WorkerSessions(registry: .byzKit, options: WorkerServerOptions()) { address in
      throw RuntimeError(.transportUnavailable, "Nothing leads to \(address).")
    }
    let backends = (0..<5).map { _ in BreakableBackend(to: host) }
    let plan = try clusterPlan(deadline: .seconds(10))
    let body = { @Sendable (_: WorkerServer) async throws -> Void in
      try await withCluster(plan, on: RemoteCluster(backends)) { (cluster) async throws -> Void in
        let (away, rounds) = (1, 100)
        async let results = cluster.run(rounds: rounds)
        while cluster.lettersPassedOn < 60 {
          try Task.checkCancellation()
          await Task.yield()
        }
        backends[away].breakConnections()
        for (node, result) in try await results.enumerated() {
          if node == away {
            let error = #expect(throws: RuntimeError.self) { _ = try result.get() }
            #expect(error?.code == .workerLost)
            continue
          }
          let reports = try result.get()
          let last = try #require(reports.last)
          #expect(last.record.round == rounds - 1)
          #expect(!last.record.used.map(\.sender).contains(away))
        }
        for (node, result) in try await cluster.run(rounds: 3).enumerated() {
          let reports = try result.get()
          #expect(reports.map(\.record.round) == Array(rounds..<rounds + 3))
          // The liar hears the honest ones alone.
          let heard = (node == 4 ? 0..<4 : 0..<5).filter { $0 != node }
          for report in reports {
            #expect(report.outcome == (report.isByzantine ? .lied : .moved))
            #expect(report.record.used.map(\.sender) == heard, "\(node): \(report)")
          }
        }
      }
    }
    try await host.run(at: "memory://host", body: body)
  }
}
