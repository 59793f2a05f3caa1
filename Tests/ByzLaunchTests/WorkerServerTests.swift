import ByzAuthentication
import ByzKit
import ByzLaunch
import ByzRuntime
import ByzTCP
import ByzTensor
import ByzUCX
import Distributed
import Foundation
import Testing

distributed actor Calculator: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private var sum: Double

  init(_ start: Double, actorSystem: ByzActorSystem) {
    sum = start
    self.actorSystem = actorSystem
  }

  distributed func add(_ value: Double) -> Double {
    sum += value
    return sum
  }

  /// Says that it runs, and returns when the test lets it.
  distributed func waitForGate() -> Int {
    Gate.shared.pass()
    return 42
  }
}

/// Holds a call of this process until a test opens it. Tests that use it run one after another.
final class Gate: Sendable {
  static let shared = Gate()
  private let isOpen = Monitor(false)
  private let (entered, continuation) = AsyncStream.makeStream(of: Void.self)

  func pass() {
    continuation.yield()
    isOpen.wait { isOpen -> Void? in
      guard isOpen else { return nil }
      isOpen = false
      return ()
    }
  }

  func waitUntilEntered() async { for await _ in entered { return } }

  func open() {
    isOpen.withLock { $0 = true }
    isOpen.signal()
  }
}

func certificate(_ name: String) -> String {
  URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "ByzTCPTests/Certificates/\(name)").path
}

@Suite("Worker server", .serialized, .timeLimit(.minutes(3)))
struct WorkerServerTests {
  private static let registry = Registry.byzKit.merging(Registry(actors: [Calculator.self]))

  private static let vectors: [Tensor<Float>] = (0..<7).map {
    .normal(shape: [1001], key: RandomKey($0))
  }

  private func expectMedian(
    on pool: ActorPool, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let pooled = try await Median().aggregate(Self.vectors, on: pool, chunkSize: 256)
    let direct = try Median().aggregate(Self.vectors)
    #expect(pooled == direct, sourceLocation: sourceLocation)
  }

  private func once(_ token: Token? = nil, _ tls: TLSOptions? = nil) -> TCPOptions {
    var options = TCPOptions(tls: tls, token: token)
    options.retry.attempts = 1
    options.connectTimeout = .seconds(60)
    return options
  }

  @Test("it hosts a program's own actors and the library's rules, with the same bits")
  func plain() async throws {
    try await withWorkerServer(registry: Self.registry) { server in
      #expect(server.address.hasPrefix("tcp://127.0.0.1:"))
      try await withActorSystem(Self.registry) { system in
        let calculator = try await system.spawn(Calculator.self, 10, on: .tcp(server.address))
        #expect(try await calculator.add(20) == 30)
        #expect(server.connectionCount == 1)
      }
      let workers = try WorkerConfiguration.parsing("thread,\(server.address)*2")
      try await withActorPool(workers, registry: Self.registry) { pool in
        try await expectMedian(on: pool)
      }
      #expect(server.totals.connections == 3)
      #expect(server.totals.calls >= 2)
      #expect(server.totals.bytesReceived > 0 && server.totals.bytesSent > 0)
    }
  }

  @Test("with TLS and a token, who has both is served and who lacks one is not")
  func secured() async throws {
    let token = try Token("the token of this test".utf8)
    let tls = TLSOptions(trustRootsFile: certificate("ca.pem"))
    let listener = TCPListenerOptions(
      tls: TLSOptions(
        certificateChainFile: certificate("server.pem"), privateKeyFile: certificate("server.key")),
      token: token)
    try await withWorkerServer(registry: Self.registry, listener: listener) { server in
      let options = BackendOptions(tcp: once(token, tls))
      let workers = try WorkerConfiguration.parsing("\(server.address)", options: options)
      try await withActorPool(workers, registry: Self.registry) { pool in
        try await expectMedian(on: pool)
      }
      for refused in [once(try Token("another token, as long".utf8), tls), once(nil, tls)] {
        let error = await #expect(throws: RuntimeError.self) {
          try await withActorPool(
            WorkerConfiguration.parsing("\(server.address)", options: BackendOptions(tcp: refused))
          ) { _ in }
        }
        #expect(
          error?.code == .authenticationFailed || error?.code == .workerLost,
          "\(String(describing: error))")
      }
    }
  }

  @Test("it does not listen to strangers off this machine")
  func strangers() async throws {
    let error = await #expect(throws: RuntimeError.self) {
      try await withWorkerServer(on: TCPAddress("0.0.0.0:0"), registry: Registry()) { _ in }
    }
    #expect(error?.code == .invalidConfiguration)
  }

  @Test("while it drains nobody new is let in, and a running call returns its result")
  func draining() async throws {
    try await withWorkerServer(registry: Self.registry) { server in
      try await withActorSystem(Self.registry) { system in
        let calculator = try await system.spawn(Calculator.self, 0, on: .tcp(server.address))
        async let answer = calculator.waitForGate()
        await Gate.shared.waitUntilEntered()
        server.drain()
        await server.waitUntilDraining()
        await #expect(throws: RuntimeError.self) {
          try await system.spawn(Calculator.self, 0, on: .tcp(server.address, once()))
        }
        Gate.shared.open()
        #expect(try await answer == 42)
      }
    }
  }

  @Test("who waits until it drains may be cancelled")
  func patience() async throws {
    try await withWorkerServer(registry: Self.registry) { server in
      await withTaskGroup(of: Void.self) { group in
        group.addTask { await server.waitUntilDraining() }
        group.cancelAll()
        await group.waitForAll()
        // And one that begins to wait when it has been.
        group.addTask { await server.waitUntilDraining() }
      }
    }
  }

  @Test("the data of many nodes that learn from each other is sent once, however many there are")
  func manyNodes() async throws {
    let (nodes, images, inputs) = (20, 64, 100)
    let model = try SoftmaxRegression(inputs: inputs, classes: 2)
    let data = try Batch(
      inputs: .normal(shape: [images, inputs], key: RandomKey(1)),
      labels: (0..<images).map { $0 % 2 })
    let honest = try (0..<nodes).map {
      try HonestNode(
        name: "node-\($0)", model: model, data: data, batchSize: 8, key: RandomKey(UInt64($0)))
    }
    var peers = try PeerToPeer(
      honest: honest, topology: .complete(nodes), aggregator: .median,
      optimizer: SGD(learningRate: 0.1), parameters: model.initialParameters(key: RandomKey(1)))
    try await withWorkerServer(registry: .byzKit) { server in
      let workers = WorkerConfiguration(backend: .tcp(server.address), count: 1)
      try await withActorPool(workers, registry: .byzKit) { pool in
        _ = try await peers.round(on: pool)
        let first = server.totals.bytesReceived
        _ = try await peers.round(on: pool)
        #expect(first > nodes * images * inputs * 4)
        #expect(server.totals.bytesReceived - first < 5 * images * inputs * 4)
      }
    }
  }

  @Test("the reports of as many rounds as a cluster allows fit into the messages that hosts take")
  func longRuns() async throws {
    let model = try SoftmaxRegression(inputs: 3, classes: 2)
    let data = try Batch(
      inputs: .normal(shape: [8, 3], key: RandomKey(1)), labels: (0..<8).map { $0 % 2 })
    let participants = try (0..<5).map {
      try Participant(
        ParticipantSpecification(
          .honest(
            HonestNode(
              name: "node-\($0)", model: model, data: data, batchSize: 8, key: RandomKey(UInt64($0))
            )),
          aggregator: "median", optimizer: SGD(learningRate: 0.1)))
    }
    let plan = try ClusterPlan(
      participants, topology: .complete(5),
      models: Array(repeating: model.initialParameters(key: RandomKey(1)), count: 5))
    var listener = TCPListenerOptions()
    listener.limits.message = 1 << 20
    try await withWorkerServer(registry: .byzKit, listener: listener) { server in
      let hosts = Array(repeating: TCPBackend.tcp(server.address), count: 5)
      let results = try await withCluster(plan, on: RemoteCluster(hosts)) { cluster in
        #expect((100..<1000).contains(cluster.mostRounds))
        return try await cluster.run(rounds: cluster.mostRounds)
      }
      for result in results { #expect(throws: Never.self) { try result.get() } }
    }
  }

  @Test("cancelling the task that hosts drains")
  func cancelled() async throws {
    let (addresses, address) = AsyncStream.makeStream(of: String.self)
    let hosting = Task {
      try await withWorkerServer(registry: Self.registry) { server in
        address.yield(server.address)
        await server.waitUntilDraining()
        return server.totals.calls
      }
    }
    try await withActorSystem(Self.registry) { system in
      for await address in addresses {
        let calculator = try await system.spawn(Calculator.self, 0, on: .tcp(address))
        async let answer = calculator.waitForGate()
        await Gate.shared.waitUntilEntered()
        hosting.cancel()
        Gate.shared.open()
        #expect(try await answer == 42)
        break
      }
    }
    #expect(try await hosting.value == 2)
  }

  @Test("a call that outlasts the limit is lost, and the server ends")
  func limit() async throws {
    var options = WorkerServerOptions()
    options.drainLimit = .milliseconds(20)
    try await withWorkerServer(registry: Self.registry, options: options) { server in
      try await withActorSystem(Self.registry) { system in
        let calculator = try await system.spawn(Calculator.self, 0, on: .tcp(server.address))
        async let answer = calculator.waitForGate()
        await Gate.shared.waitUntilEntered()
        server.drain()
        let result: Result<Int, any Error>
        do { result = .success(try await answer) } catch { result = .failure(error) }
        Gate.shared.open()
        let error = #expect(throws: RuntimeError.self) { try result.get() }
        #expect(error?.code == .workerLost)
      }
    }
  }

  @Test("a pool goes on with other workers when a host drains")
  func pool() async throws {
    try await withWorkerServer(registry: Self.registry) { server in
      let workers = try WorkerConfiguration.parsing(
        "thread,\(server.address)", options: BackendOptions(tcp: once()))
      try await withActorPool(workers, registry: Self.registry) { pool in
        try await expectMedian(on: pool)
        server.drain()
        for _ in 0..<20 { try await expectMedian(on: pool) }
      }
    }
  }

  @Test(
    "it hosts over UCX too, with a token and without one; who lacks the token is refused",
    .enabled(if: UCX.isAvailable, "UCX is not installed: apt-get install libucx0 libucx-dev"))
  func ucx() async throws {
    for token in [try Token("the token of this test".utf8), nil] {
      let options = UCXOptions(token: token)
      try await withUCXWorkerServer(on: "127.0.0.1:0", registry: Self.registry, listener: options) {
        server in
        let workers = try WorkerConfiguration.parsing(
          "\(server.address)", options: BackendOptions(ucx: options))
        try await withActorPool(workers, registry: Self.registry) { pool in
          try await expectMedian(on: pool)
        }
        try await withActorSystem(Self.registry) { system in
          let backend = UCXBackend(
            String(server.address.trimmingPrefix("ucx://")), options: options)
          let calculator = try await system.spawn(Calculator.self, 10, on: backend)
          #expect(try await calculator.add(20) == 30)
        }
        #expect(server.totals.calls >= 3)
        for wrong in [try Token("another token, as long".utf8), nil] where token != nil {
          let error = await #expect(throws: RuntimeError.self) {
            try await withActorPool(
              WorkerConfiguration.parsing(
                "\(server.address)", options: BackendOptions(ucx: UCXOptions(token: wrong)))
            ) { _ in }
          }
          #expect(
            error?.code == .authenticationFailed || error?.code == .workerLost,
            "\(String(describing: error))")
        }
      }
    }
  }
}
