import ByzKit
import ByzRuntime
import ByzTensor
import Testing

/// Subtasks of the library's rules that no caller of this library makes, and a stranger may.
@Suite("A stranger's subtask")
struct StrangersSubtaskTests {
  private struct Combine: Codable {
    var combination = Combination.infinity
    var range: Range<Int>
  }

  private struct Measure: Codable {
    var measurement = Measurement.centredGram
    var chunks: [Range<Int>]
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
    var count = 1
    var rows = 0..<1
  }

  /// What a worker answers when asked to run it on rows of zeros, of which nothing travels.
  private func answer(
    to subtask: some Encodable, named name: String, columns: Int, rows: Int, hasOutput: Bool
  ) async throws -> Message {
    let system = ByzActorSystem(registry: .byzKit)
    let hello = system.hello(namesBLAS: false)
    let type = try #require(hello.types.keys.first { $0.contains(name) })
    let (link, _) = MemoryLink.pair(limits: WireLimits())
    var encoder = WireEncoder()
    let request = WireValue.array([
      .unsigned(3),
      .array([
        .string(type), try encoder.encode(subtask), .array([]), .array([]),
        try encoder.encode(Input(columns: columns, count: rows, zeros: Array(0..<rows))),
        try encoder.encode(hasOutput ? Output(columns: columns) : nil),
      ]),
    ])
    let host = WorkerHost(system: system, isWorker: true)
    let answer = await host.serve(
      Message(.call, body: request.serialized()), from: Peer(link: link, hello: hello))
    await host.connectionEnded()
    return answer
  }

  @Test("is answered with what it wrote, and refused unless that is all of its rows")
  func combine() async throws {
    let columns = 1 << 20
    let whole = try await answer(
      to: Combine(range: 0..<columns), named: "CombineSubtask", columns: columns, rows: 1,
      hasOutput: true)
    #expect(whole.kind == .reply && whole.segments.map(\.byteCount) == [4 * columns])
    for range in [0..<0, 0..<columns - 1, 1..<columns, 0..<columns + 1] {
      let answer = try await answer(
        to: Combine(range: range), named: "CombineSubtask", columns: columns, rows: 1,
        hasOutput: true)
      #expect(answer.kind == .failure && answer.segments.isEmpty, "\(range)")
    }
  }

  @Test("is refused when its measurements would fill the memory, or repeat")
  func measure() async throws {
    let few = try await answer(
      to: Measure(chunks: [0..<2048, 2048..<4096], centred: 3), named: "MeasureSubtask",
      columns: 4096, rows: 3, hasOutput: false)
    #expect(few.kind == .reply && few.segments.map(\.byteCount) == [2 * 9 * 8])
    for (chunks, rows) in [
      ([0..<2048], 1 << 15), ([Range<Int>](repeating: 0..<2048, count: 3), 3),
      ([2048..<4096, 0..<2048], 3),
    ] {
      let answer = try await answer(
        to: Measure(chunks: chunks, centred: rows), named: "MeasureSubtask", columns: 4096,
        rows: rows, hasOutput: false)
      #expect(answer.kind == .failure, "\(chunks.count) of \(rows)")
    }
  }
}
