import ByzKit
import ByzLaunch
import ByzRuntime
import ByzTCP
import ExampleSupport
import Testing

@Suite("distributed-mnist", .timeLimit(.minutes(10)))
struct DistributedMnistTests {
  private let small = ["--rounds", "2", "--batch-size", "8", "--model", "softmax", "--json"]

  @Test("takes port 29000 of a host that names none")
  func port() throws {
    let hosts = try RemoteHosts("tcp://a,ucx://b:7,tcp://[::1],tcp://[::1]:5,tcp://10.0.0.7")
    #expect(
      hosts.list.map(\.description) == [
        "tcp://a:29000", "ucx://b:7", "tcp://[::1]:29000", "tcp://[::1]:5", "tcp://10.0.0.7:29000",
      ])
    #expect(try RemoteHosts("tcp://a*2,tcp://b:7*3").list.map(\.count) == [2, 3])
    #expect("\(try RemoteHosts("tcp://a*2").list[0])".hasPrefix("tcp://a:29000"))
    // Where byzkit worker listens.
    #expect(LaunchEnvironment.defaultPort == 29000)
    for wrong in ["tcp://", "a", "tcp://a,,tcp://b", "process"] {
      #expect(throws: (any Error).self, "\(wrong)") { try RemoteHosts(wrong) }
    }
  }

  @Test("refuses a host that is named twice, however it is written")
  func twice() async throws {
    for hosts in ["tcp://a,tcp://b,tcp://a", "tcp://a:29000,tcp://a", "ucx://a*2,ucx://a"] {
      #expect(throws: UsageError.self, "\(hosts)") { try RemoteHosts(hosts) }
    }
    #expect(try RemoteHosts("tcp://a,ucx://a,tcp://a:1").list.count == 3)
    for name in ["distributed-mnist", "p2p-mnist"] {
      let run = try await ExampleProgram(name)(
        ["--remote-hosts", "tcp://127.0.0.1:1,tcp://127.0.0.1:1"])
      #expect(run.status == 1)
      #expect(run.errors.split(separator: "\n").count == 1, "\(name): \(run.errors)")
      #expect(run.errors.contains("tcp://127.0.0.1:1 twice"), "\(name): \(run.errors)")
    }
  }

  @Test("deals the nodes to the hosts one by one, in their order")
  func placement() async throws {
    let hosts = [NotedHost(), NotedHost()]
    // So that both are busy when a node is dealt, but the one that it is for.
    hosts[1].hold(0, until: { hosts[0].nodes.count >= 2 })
    hosts[0].hold(1, until: { hosts[1].nodes.count >= 2 })
    try await hosts[0].listen { first in
      try await hosts[1].listen { second in
        let run = try await ExampleProgram("distributed-mnist")(
          [
            "--rounds", "1", "--batch-size", "8", "--model", "softmax", "--num-honest", "4",
            "--remote-hosts", "\(first),\(second)",
          ])
        #expect(run.status == 0, "\(run.errors)")
      }
    }
    #expect(hosts.map(\.nodes) == [[0, 2], [1, 3]])
  }

  @Test(
    "tests the model every so many rounds and at the end; every ten by default, with 0 at the end")
  func tests() async throws {
    let program = try ExampleProgram("distributed-mnist")
    for (flags, rounds) in [
      (["--eval-interval", "0"], [11]), (["--eval-interval", "4"], [4, 8, 11]), ([], [10, 11]),
    ] {
      let run = try await program(
        ["--rounds", "11", "--batch-size", "8", "--model", "softmax", "--json"] + flags)
      let lines = run.errors.split(separator: "\n")
      #expect(
        lines.map { $0.split(separator: " ").prefix(2).joined(separator: " ") }
          == rounds.map { "round \($0)" }, "\(run.errors)")
    }
  }

  @Test("has Multi-Krum average n - f - 1 gradients unless told otherwise")
  func q() async throws {
    let program = try ExampleProgram("distributed-mnist")
    let nodes = ["--num-honest", "5", "--num-byz", "1", "--f", "1", "--eval-interval", "0"]
    var digests: [String] = []
    for flags in [[], ["--q", "4"], ["--q", "5"], ["--q", "3"]] {
      digests.append(try await program(small + nodes + flags).report.digest)
    }
    #expect(digests[0] == digests[1])
    #expect(Set(digests).count == 3, "\(digests)")
  }
}

/// A host of workers that notes which nodes are sent to it.
private final class NotedHost: Sendable {
  private let state = Monitor(State())

  private struct State: Sendable {
    var nodes: [UInt64] = []
    var gradientCount = 0
    /// What the gradients wait for, by their number.
    var holds: [Int: @Sendable () -> Bool] = [:]
  }

  var nodes: [UInt64] { state.withLock { $0.nodes } }

  /// Has a gradient wait for a condition.
  func hold(_ gradient: Int, until condition: @escaping @Sendable () -> Bool) {
    state.withLock { $0.holds[gradient] = condition }
  }

  func listen(_ body: (String) async throws -> Void) async throws {
    try await withTCPListener(
      accept: { link, _ in
        // Ends with its link, which the listener closes.
        Task { await self.serve(link) }
      }, body: { try await body("tcp://\($0)") })
  }

  private func serve(_ link: any Link) async {
    let system = ByzActorSystem(registry: .byzKit)
    let worker = WorkerHost(system: system, isWorker: true)
    let peer = Peer(
      link: link, server: Server(worker: worker, host: self), hello: system.hello(namesBLAS: true))
    _ = try? await peer.open()
    _ = await peer.waitUntilEnded()
    await worker.connectionEnded()
    await system.stop()
  }

  private func note(_ service: Service) async {
    switch service {
    case .keep(_, let index, _, _): state.withLock { $0.nodes.append(index) }
    case .subtask(.array(let parts)):
      guard case .string(let name)? = parts.first, name.hasSuffix("GradientSubtask") else { return }
      let condition = state.withLock { state in
        defer { state.gradientCount += 1 }
        return state.holds[state.gradientCount]
      }
      while let condition, !condition() { await Task.yield() }
    default: break
    }
  }

  private final class Server: CallServer {
    private let worker: WorkerHost
    private let host: NotedHost

    init(worker: WorkerHost, host: NotedHost) { (self.worker, self.host) = (worker, host) }

    func executor(for call: Message) -> (any TaskExecutor)? { worker.executor(for: call) }

    func serve(_ call: Message, from peer: Peer) async -> Message {
      let value = try? WireValue(parsing: call.body, limits: WireLimits())
      if let value, let service = try? Service(value) { await host.note(service) }
      return await worker.serve(call, from: peer)
    }
  }
}
