import ByzKit
import ByzRuntime
import ByzTensor

/// What this library's rules, servers and clusters ask of a worker: the calls that really go out, to be changed.
enum RecordedWork {
  static func record() async throws -> [Message] {
    let recorder = Recorder()
    let backend = RecordingBackend(recorder: recorder)
    let workers = WorkerConfiguration(backend: backend, count: 1)
    try await withActorPool(workers, registry: .byzKit) { pool in
      for rule in rules { try await run(rule, Float.self, on: pool) }
      for rule in rules.prefix(4) { try await run(rule, Double.self, on: pool) }
      var server = try ParameterServer(
        honest: nodes(), aggregator: .median, optimizer: SGD(learningRate: .constant(0.1)),
        parameters: model().initialParameters(key: key))
      _ = try await server.round(on: pool)
    }
    let plan = try ClusterPlan(
      nodes().map {
        try Participant(
          ParticipantSpecification(
            .honest($0), aggregator: "median", preAggregators: ["clipping:threshold=1"],
            optimizer: SGD(learningRate: .constant(0.1))))
      },
      topology: .complete(2),
      models: Array(repeating: model().initialParameters(key: key), count: 2))
    try await withCluster(plan, on: RemoteCluster([backend])) { _ in }
    return recorder.calls.withLock { $0 }
  }

  private static let rules: [any Rule] = [
    MultiKrum(f: 1, q: 3), Median(), NearestNeighborMixing(f: 1), Clipping(threshold: 1), Mean(),
    TrimmedMean(f: 1), MeanAroundMedian(f: 1), GeometricMedian(), CGE(f: 1), CAF(f: 1),
    MoNNA(f: 1, reference: 0), CenteredClipping(tau: 1, iterations: 2, start: .zero), ARC(f: 1),
    Bulyan(f: 1), SMEA(f: 1), Bucketing(size: 2, permutation: Array(0..<7)), ALIE(tau: 1),
    Infinity(),
  ]

  private static let key = RandomKey(1)

  private static func run<E: TensorElement>(_ rule: any Rule, _: E.Type, on pool: ActorPool)
    async throws
  {
    // Few numbers, so that an input is tried in no time: one part, and one subtask.
    let vectors = (0..<7).map { Tensor<E>.normal(shape: [20], key: RandomKey($0)) }
    switch rule {
    case let rule as any Aggregator: _ = try await rule.aggregate(vectors, on: pool, chunkSize: 10)
    case let rule as any PreAggregator:
      _ = try await rule.preAggregate(vectors, on: pool, chunkSize: 10)
    case let attack as any OmniscientAttack:
      _ = try await attack.craft(honest: vectors, on: pool, chunkSize: 10)
    default: break
    }
  }

  private static func model() throws -> SoftmaxRegression {
    try SoftmaxRegression(inputs: 3, classes: 2)
  }

  private static func nodes() throws -> [HonestNode] {
    let inputs = Tensor<Float>.normal(shape: [4, 3], key: key)
    let data = try Batch(inputs: inputs, labels: [0, 1, 1, 0])
    return try (0..<2).map {
      try HonestNode(
        name: "node-\($0)", model: model(), data: data, batchSize: 2, key: key.child(UInt64($0)))
    }
  }
}

/// Keeps copies of calls.
private final class Recorder: Sendable {
  let calls = Monitor<[Message]>([])

  func append(_ message: Message) {
    var message = message
    message.segments = message.segments.map { segment in
      let storage = TensorStorage(byteCount: segment.byteCount)
      segment.withUnsafeBytes { bytes in
        if let start = bytes.baseAddress {
          storage.address.copyMemory(from: start, byteCount: bytes.count)
        }
      }
      return Segment(storage: storage, offset: 0, byteCount: segment.byteCount)
    }
    calls.withLock { $0.append(message) }
  }
}

/// A worker in this process, over a link whose calls are recorded.
private struct RecordingBackend: LinkBackend {
  let recorder: Recorder
  var name: String { "recorded" }
  var capabilities: Set<Capability> { [.cpu] }

  func openLink(named name: String) async throws -> any Link {
    let (here, there) = MemoryLink.pair()
    Task { await serveAsWorker(there, registry: .byzKit) }
    return RecordingLink(link: here, recorder: recorder)
  }
}

private final class RecordingLink: Link {
  private let link: MemoryLink
  private let recorder: Recorder

  init(link: MemoryLink, recorder: Recorder) { (self.link, self.recorder) = (link, recorder) }

  var peerName: String { link.peerName }
  var limits: WireLimits { link.limits }

  func start(_ receiver: any LinkReceiver) { link.start(receiver) }
  func waitUntilWritable() async throws { try await link.waitUntilWritable() }
  func close(_ reason: RuntimeError) { link.close(reason) }

  func send(_ message: Message) {
    if message.kind == .call { recorder.append(message) }
    link.send(message)
  }
}
