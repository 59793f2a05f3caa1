import ByzKit
import ByzRuntime
import ByzTensor
import ByzTestSupport
import Testing

/// Subtasks of the library's rules that no caller of this library makes, and a stranger may.
@Suite("A stranger's subtask")
struct StrangersSubtaskTests {
  private struct Combine: Codable {
    var combination = Combination.infinity
    var range: Range<Int>
  }

  /// As `Combine` with means of sets travels.
  private struct CombineMeans: Codable {
    struct Combination: Codable {
      var means: Means
    }
    struct Means: Codable {
      var of: Sets
      var overlapping = true
    }
    struct Sets: Codable {
      var n: Int
      var count: Int
      var words: [UInt64]
    }

    var combination: Combination
    var range = 0..<1

    init(n: Int, count: Int, words: [UInt64]) {
      combination = Combination(means: Means(of: Sets(n: n, count: count, words: words)))
    }
  }

  private struct Measure: Codable {
    var measurement = Measurement.centredGram
    var range: Range<Int>
    var part: Int
    var centred: Int
  }

  private struct Input: Codable {
    var elementType = ElementType.float32
    var columns: Int
    var count: Int
    var zeros: [Int]
  }

  private struct Output: Codable {
    var elementType = ElementType.float32
    var columns: Int
    var count: Int
    var rows: Range<Int>
  }

  /// What a worker answers when asked to run it on rows of zeros, of which nothing travels unless they are sent.
  private func answer(
    to subtask: some Encodable, named name: String, columns: Int, rows: Int, outputs: Int,
    areSent: Bool = false, registry: Registry = .byzKit
  ) async throws -> Message {
    let system = ByzActorSystem(registry: registry)
    let hello = system.hello(namesBLAS: false)
    let type = try #require(hello.types.keys.first { $0.contains(name) })
    let (link, _) = MemoryLink.pair(limits: WireLimits())
    var encoder = WireEncoder()
    let request = WireValue.array([
      .unsigned(3),
      .array([
        .string(type), try encoder.encode(subtask), .array([]), .array([]),
        try encoder.encode(
          Input(columns: columns, count: rows, zeros: areSent ? [] : Array(0..<rows))),
        try encoder.encode(
          outputs > 0 ? Output(columns: columns, count: outputs, rows: 0..<outputs) : nil),
      ]),
    ])
    let segments = (0..<(areSent ? rows : 0)).map { _ in
      let storage = TensorStorage(byteCount: 4 * columns)
      storage.address.initializeMemory(as: Float.self, repeating: 1, count: columns)
      return Segment(storage: storage, offset: 0, byteCount: 4 * columns)
    }
    let host = WorkerHost(system: system, isWorker: true)
    let answer = await host.serve(
      Message(.call, body: request.serialized(), segments: segments),
      from: Peer(link: link, hello: hello))
    await host.connectionEnded()
    return answer
  }

  /// Runs on the thread of a worker's subtasks before and after another one.
  struct Measuring: Subtask {
    var begins: Bool

    func run(_ operands: Operands) -> Int {
      if begins { byz_test_start_measuring() }
      return begins ? 0 : Int(byz_test_peak_memory())
    }
  }

  /// Leaves its rows as they are.
  struct Idle: Subtask {
    func run(_ operands: Operands) -> Bool { operands.outputs != nil }
  }

  @Test("gets nothing back of what lay where its rows are")
  func untouchedRows() async throws {
    // Memory that another tensor has left.
    do {
      let used = Tensor<Float>(repeating: 7, shape: [8, 1 << 18])
      #expect(used.count == 8 << 18)
    }
    let answer = try await answer(
      to: Idle(), named: "Idle", columns: 1 << 18, rows: 1, outputs: 8,
      registry: Registry.byzKit.merging(Registry(subtasks: [Idle.self])))
    #expect(answer.kind == .reply && answer.segments.count == 8)
    for segment in answer.segments {
      let isClear = segment.withUnsafeBytes { $0.allSatisfy { $0 == 0 } }
      #expect(isClear)
    }
  }

  private struct Gradient: Codable {
    var node = 0
    var row = 0
    var round = 0
  }

  @Test(
    "is refused when it wants a gradient at parameters of another size, before there is memory for one",
    .enabled(if: byz_test_can_measure_memory()))
  func gradient() async throws {
    let data = try Batch(inputs: Tensor<Float>(repeating: 1, shape: [1, 4]), labels: [0])
    let model = try MultilayerPerceptron(inputs: 4, hidden: [4096, 4096], classes: 2)
    let node = try HonestNode(
      name: "stranger's", model: model, data: data, batchSize: 1, key: RandomKey(1))
    let system = ByzActorSystem(
      registry: Registry.byzKit.merging(Registry(subtasks: [Measuring.self])))
    let hello = system.hello(namesBLAS: false)
    func type(_ name: String) throws -> String {
      try #require(hello.types.keys.first { $0.hasSuffix(name) })
    }
    let host = WorkerHost(system: system, isWorker: true)
    let peer = Peer(link: MemoryLink.pair().0, hello: hello)
    func ask(_ service: Service, _ encoder: WireEncoder) async -> Message {
      await host.serve(
        Message(.call, body: service.value.serialized(), segments: encoder.segments), from: peer)
    }
    func measure(begins: Bool) async throws -> WireValue {
      var encoder = WireEncoder()
      let request = WireValue.array([
        .string(try type("Measuring")), try encoder.encode(Measuring(begins: begins)), .array([]),
        .array([]), .null, .null,
      ])
      return try await ask(.subtask(request), encoder)
        .result(registry: .byzKit, limits: WireLimits())
    }
    var encoder = WireEncoder()
    let keep = Service.keep(
      set: 1, index: 0, type: try type("HonestNode"), value: try encoder.encode(node))
    #expect(await ask(keep, encoder).kind == .reply)

    encoder = WireEncoder()
    let request = WireValue.array([
      .string(try type("GradientSubtask")), try encoder.encode(Gradient()),
      .array([try encoder.encode(AnyTensor(Tensor<Float>([1, 2, 3])))]),
      .array([.array([.unsigned(1), .unsigned(0)])]), .null,
      try encoder.encode(Output(columns: 3, count: 1, rows: 0..<1)),
    ])
    _ = try await measure(begins: true)
    let answer = await ask(.subtask(request), encoder)
    let peak = try await measure(begins: false)
    #expect(throws: ModelError.wrongParameterCount(expected: model.parameterCount, actual: 3)) {
      try answer.result(registry: .byzKit, limits: WireLimits())
    }
    guard case .int(let byteCount) = peak else {
      Issue.record("\(peak)")
      return
    }
    #expect(byteCount < 1 << 20)
    await host.connectionEnded()
  }

  @Test("is answered with what it wrote, and refused unless that is all of its rows")
  func combine() async throws {
    let columns = 1 << 20
    let whole = try await answer(
      to: Combine(range: 0..<columns), named: "CombineSubtask", columns: columns, rows: 1,
      outputs: 1)
    #expect(whole.kind == .reply && whole.segments.map(\.byteCount) == [4 * columns])
    for range in [0..<0, 0..<columns - 1, 1..<columns, 0..<columns + 1] {
      let answer = try await answer(
        to: Combine(range: range), named: "CombineSubtask", columns: columns, rows: 1,
        outputs: 1)
      #expect(answer.kind == .failure && answer.segments.isEmpty, "\(range)")
    }
  }

  @Test("is refused when its measurements would fill the memory, or lie elsewhere")
  func measure() async throws {
    let few = try await answer(
      to: Measure(range: 0..<4096, part: 2048, centred: 3), named: "MeasureSubtask",
      columns: 4096, rows: 3, outputs: 0)
    #expect(few.kind == .reply && few.segments.map(\.byteCount) == [2 * 9 * 8])
    for (range, part, rows) in [
      (0..<2048, 2048, 1 << 15), (0..<0, 2048, 3), (0..<4097, 2048, 3), (1..<4096, 2048, 3),
      (0..<4096, 0, 3), (0..<4096, -2048, 3), (0..<4096, 1000, 3),
    ] {
      let answer = try await answer(
        to: Measure(range: range, part: part, centred: rows), named: "MeasureSubtask",
        columns: 4096, rows: rows, outputs: 0)
      #expect(answer.kind == .failure, "\(range), \(part)")
    }
  }

  @Test(
    "is refused on rows without end, with lists without end, and with more rows than a message has")
  func endless() async throws {
    let rows = try await answer(
      to: Measure(range: 0..<1 << 60, part: 2048, centred: 1), named: "MeasureSubtask",
      columns: 1 << 60,
      rows: 1, outputs: 0)
    #expect(rows.kind == .failure)
    for (indices, kind) in [
      ([0, 1], Message.Kind.reply), (Array(repeating: 0, count: 1000), .failure),
    ] {
      let answer = try await answer(
        to: Combine(combination: .meanAroundMedian(f: 1, of: indices), range: 0..<1),
        named: "CombineSubtask", columns: 1, rows: 2, outputs: 1, areSent: true)
      #expect(answer.kind == kind)
    }
    for (means, kind) in [
      (CombineMeans(n: 2, count: 2, words: [3, 1]), Message.Kind.reply),
      (CombineMeans(n: 2, count: 2, words: [3, 4]), .failure),
      (CombineMeans(n: 2, count: 2, words: [3]), .failure),
      (CombineMeans(n: 3, count: 2, words: [3, 1]), .failure),
      (CombineMeans(n: 2, count: .max, words: [3, 1]), .failure),
      (CombineMeans(n: -2, count: 2, words: []), .failure),
    ] {
      let answer = try await answer(
        to: means, named: "CombineSubtask", columns: 1, rows: 2, outputs: 2, areSent: true)
      #expect(answer.kind == kind)
    }
    for (count, kind) in [(100, Message.Kind.reply), (65_536, .failure)] {
      let sets = MemberSets(count: count, of: 1)
      let answer = try await answer(
        to: Combine(combination: .means(of: sets, overlapping: false), range: 0..<1),
        named: "CombineSubtask", columns: 1, rows: 1, outputs: count, areSent: true)
      #expect(answer.kind == kind)
    }
  }
}
