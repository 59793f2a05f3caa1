import ByzKit
import ByzRuntime
import ByzTensor
import Testing

/// What a peer asks for that has proved who it is, and lies.
@Suite("Work that no rule would ask for", .timeLimit(.minutes(1)))
struct HostileWorkTests {
  /// As the library's own, from outside.
  private struct Combine: Encodable {
    var combination: Combination
    var range: Range<Int>
  }

  private struct Measure: Encodable {
    var measurement: Measurement
    var chunks: [Range<Int>]
    var centred: Int
  }

  private struct Rows: Encodable {
    var elementType = ElementType.float32
    var columns: Int
    var count: Int
    var zeros: [Int] = []
  }

  private struct Outputs: Encodable {
    var elementType = ElementType.float32
    var columns: Int
    var count: Int
    var rows: Range<Int>
  }

  private func answer(
    _ name: String, _ work: some Encodable, rows: Rows, outputs: Outputs? = nil,
    segments: [Segment] = []
  ) async throws -> Message {
    var encoder = WireEncoder()
    let body = WireValue.array([
      .unsigned(3),
      .array([
        .string("ByzKit.\(name)"), try encoder.encode(work), .array([]), .array([]),
        try encoder.encode(rows), try encoder.encode(outputs),
      ]),
    ])
    let (a, b) = MemoryLink.pair()
    let system = ByzActorSystem(registry: .byzKit)
    let host = WorkerHost(system: system, isWorker: true)
    let server = Peer(link: b, server: host, hello: system.hello(namesBLAS: false))
    let client = Peer(link: a, hello: ByzActorSystem(registry: .byzKit).hello(namesBLAS: false))
    server.begin()
    try await client.open()
    let answer = try await client.call(body: body.serialized(), segments: segments)
    await client.close()
    await host.connectionEnded()
    return answer
  }

  private func segment(_ count: Int) -> Segment {
    let storage = TensorStorage(byteCount: 4 * count)
    storage.address.initializeMemory(as: Float.self, repeating: 1, count: count)
    return Segment(storage: storage, offset: 0, byteCount: 4 * count)
  }

  @Test(
    "is answered with an error: rows without end, lists without end, more rows than a message has")
  func refused() async throws {
    let legal = try await answer(
      "CombineSubtask", Combine(combination: .meanAroundMedian(f: 1, of: [0, 1]), range: 0..<1),
      rows: Rows(columns: 1, count: 2), outputs: Outputs(columns: 1, count: 1, rows: 0..<1),
      segments: [segment(1), segment(1)])
    #expect(legal.kind == .reply)
    let endless = try await answer(
      "MeasureSubtask", Measure(measurement: .centredGram, chunks: [0..<1 << 60], centred: 1),
      rows: Rows(columns: 1 << 60, count: 1, zeros: [0]))
    let repeated = try await answer(
      "CombineSubtask",
      Combine(
        combination: .meanAroundMedian(f: 1, of: Array(repeating: 0, count: 1000)), range: 0..<1),
      rows: Rows(columns: 1, count: 2), outputs: Outputs(columns: 1, count: 1, rows: 0..<1),
      segments: [segment(1), segment(1)])
    let many = try await answer(
      "CombineSubtask",
      Combine(
        combination: .means(of: Array(repeating: [], count: 65_536), overlapping: false),
        range: 0..<1),
      rows: Rows(columns: 1, count: 1),
      outputs: Outputs(columns: 1, count: 65_536, rows: 0..<65_536), segments: [segment(1)])
    for answer in [endless, repeated, many] { #expect(answer.kind == .failure) }
  }

  @Test("a node is not made, or does not run, with times and counts that are none")
  func nodes() async throws {
    let peers = try Peers()
    let honest = try Participant.honest(
      peers.honest(1)[0], aggregator: .median, optimizer: peers.optimizer)
    let model = peers.equalModels(3)[0]
    for deadline in [
      Duration.seconds(-1), Duration(secondsComponent: .max, attosecondsComponent: 0),
    ] {
      #expect(throws: RuntimeError.self) {
        try DecentralizedNode(0, honest, in: .complete(3), parameters: model, deadline: deadline)
      }
    }
    let liar = try Participant(
      ParticipantSpecification(
        .byzantine(name: "liar", attack: "empire:scale=-5", own: nil, key: peers.key),
        aggregator: "median", optimizer: peers.optimizer))
    #expect(throws: PeerToPeerError.negativeStaleness(.min)) {
      try DecentralizedNode(
        0, liar, in: .complete(3), parameters: model,
        mode: .asynchronous(quorum: 0, staleness: .min))
    }
  }

  @Test(
    "a tensor has at most 64 extents, and a gradient the model's parameters before it has memory")
  func sizes() throws {
    #expect(try TensorError.checkedCount(of: Array(repeating: 1, count: 64)) == 1)
    #expect(throws: TensorError.self) {
      try TensorError.checkedCount(of: Array(repeating: 1, count: 65))
    }
    let model = try SoftmaxRegression(inputs: 1, classes: 1 << 28)
    let batch = try Batch(inputs: Tensor(repeating: 0, shape: [1, 1]), labels: [0])
    #expect(throws: ModelError.self) { try model.gradient(at: [1], on: batch) }
  }
}
