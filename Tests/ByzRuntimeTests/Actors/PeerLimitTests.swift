import ByzRuntime
import ByzRuntimeTestSupport
import ByzTensor
import Testing

/// Does nothing, with whatever it is given to write to.
struct Idle: Subtask {
  func run(_ operands: Operands) throws -> Int { 0 }
}

/// A link whose end takes less than the other may send.
private final class LimitedLink: Link {
  let link: MemoryLink
  let limits: WireLimits

  init(link: MemoryLink, limits: WireLimits) { (self.link, self.limits) = (link, limits) }

  var peerName: String { link.peerName }

  func start(_ receiver: any LinkReceiver) { link.start(receiver) }
  func send(_ message: Message) { link.send(message) }
  func waitUntilWritable() async throws { try await link.waitUntilWritable() }
  func close(_ reason: RuntimeError) { link.close(reason) }
}

@Suite("What one peer may take", .timeLimit(.minutes(3)))
struct PeerLimitTests {
  private static let registry = Registry(actors: [Calculator.self], subtasks: [Idle.self])

  /// Hands `body` a peer that is connected to a worker.
  private func withClient(
    _ change: (inout WireLimits) -> Void, _ body: (Peer) async throws -> Void
  ) async throws {
    var limits = WireLimits()
    change(&limits)
    let (a, b) = MemoryLink.pair(limits: limits)
    let system = ByzActorSystem(registry: Self.registry)
    let host = WorkerHost(system: system, isWorker: true)
    let server = Peer(link: b, server: host, hello: system.hello(namesBLAS: false))
    let client = Peer(
      link: a, hello: ByzActorSystem(registry: Self.registry).hello(namesBLAS: false))
    server.begin()
    try await client.open()
    try await body(client)
    await client.close()
    await host.connectionEnded()
  }

  /// What comes of calls that one peer makes, one after another.
  private func codes(
    of services: [WireValue], _ change: (inout WireLimits) -> Void
  ) async throws -> [RuntimeError.Code?] {
    var codes: [RuntimeError.Code?] = []
    try await withClient(change) { client in
      for service in services {
        let answer = try await client.call(body: service.serialized())
        do {
          _ = try answer.result(registry: Self.registry, limits: WireLimits())
          codes.append(nil)
        } catch {
          codes.append((error as? RuntimeError)?.code)
        }
      }
    }
    return codes
  }

  @Test("no longer calls than either side allows: what is refused is not sent, and others go on")
  func longestMessage() async throws {
    let (a, b) = MemoryLink.pair()
    var limits = WireLimits()
    limits.message = 4096
    let system = ByzActorSystem(registry: Self.registry)
    let host = WorkerHost(system: system, isWorker: true)
    let server = Peer(
      link: LimitedLink(link: b, limits: limits), server: host,
      hello: system.hello(namesBLAS: false))
    let client = Peer(
      link: a, hello: ByzActorSystem(registry: Self.registry).hello(namesBLAS: false))
    server.begin()
    try await client.open()
    #expect(client.longestMessage == 4096)
    let error = await #expect(throws: RuntimeError.self) {
      try await client.call(body: [UInt8](repeating: 0, count: 5000))
    }
    #expect(error?.message.contains("does not fit into one message") == true)
    #expect(!client.hasEnded)
    #expect(try await client.call(body: WireValue.null.serialized()).kind == .failure)
    await client.close()
    await host.connectionEnded()
  }

  @Test("so many introductions at a time, also for calls that nobody waits for any more")
  func introductions() async throws {
    let registry = Registry(actors: [Ledger.self])
    let system = ByzActorSystem(registry: registry, introductionLimit: .seconds(600))
    let otherHost = Monitor<UInt64>(0)
    let asking = ScriptedBackend { service, peer in
      guard case .invoke = service else { return .unsigned(1) }
      let question = Service.meet(host: otherHost.withLock { $0 }, lost: 0).value.serialized()
      let isRefused = Monitor(false)
      for _ in 0..<1000 where !isRefused.withLock({ $0 }) {
        await withDiscardingTaskGroup { group in
          for _ in 0..<64 {
            group.addTask {
              do {
                let answer = try await withDeadline(.milliseconds(5)) {
                  try await peer.call(body: question)
                }
                _ = try answer.result(registry: Registry(), limits: WireLimits())
              } catch let error as RuntimeError where error.code == .limitExceeded {
                isRefused.withLock { $0 = true }
              } catch {}
            }
          }
        }
      }
      return .int(isRefused.withLock { $0 } ? 1 : 0)
    }
    let mute = ScriptedBackend { service, peer in
      guard case .join = service else { return .unsigned(1) }
      _ = await peer.waitUntilEnded()
      return nil
    }
    do {
      let one = try await system.spawn(Ledger.self, 0, on: asking)
      let other = try await system.spawn(Ledger.self, 0, on: mute)
      otherHost.withLock { $0 = other.id.host }
      #expect(try await one.add(0) == 1)
    } catch {
      Issue.record(error)
    }
    await system.stop()
  }

  private func keep(_ text: String, set: UInt64 = 1, index: UInt64) -> WireValue {
    .array([
      .unsigned(4), .unsigned(set), .unsigned(index), .string("Swift.String"), .string(text),
    ])
  }

  @Test("so many actors at a time, and one that could not be made does not count")
  func actors() async throws {
    let calculator = { (name: String) -> WireValue in
      .array([.unsigned(1), .string("ByzRuntimeTests.Calculator"), .string(name)])
    }
    let codes = try await codes(of: ["", "a", "b", "c"].map(calculator)) { $0.actors = 2 }
    #expect(codes == [nil, nil, nil, .limitExceeded])
  }

  @Test("so many values for subtasks, each of which may be replaced")
  func keptValues() async throws {
    let codes = try await codes(
      of: [keep("a", index: 0), keep("b", index: 1), keep("c", index: 1), keep("d", index: 2)]
    ) { $0.keptValues = 2 }
    #expect(codes == [nil, nil, nil, .limitExceeded])
  }

  @Test("so many bytes for subtasks; sets that came before make room")
  func keptBytes() async throws {
    let text = String(repeating: "x", count: 500)
    let codes = try await codes(
      of: [
        keep(text, set: 1, index: 0), keep(text, set: 2, index: 0), keep(text, set: 2, index: 1),
      ]
    ) { $0.keptBytes = 1000 }
    #expect(codes == [nil, nil, .limitExceeded])
  }

  @Test("what the values of a body take, and the connection goes on")
  func decoded() async throws {
    let codes = try await codes(
      of: [.array(Array(repeating: .null, count: 2000)), keep("a", index: 0)]
    ) { $0.decoded = 10_000 }
    #expect(codes == [.malformedMessage, nil])
  }

  @Test("rows to write that fit into one message")
  func outputs() async throws {
    let idle = { (columns: Int64) -> WireValue in
      let output: [WireValue.Entry] = [
        .init(key: "elementType", value: .string("float32")),
        .init(key: "columns", value: .int(columns)), .init(key: "count", value: .int(3)),
        .init(key: "rows", value: .array([.int(1), .int(3)])),
      ]
      return .array([
        .unsigned(3),
        .array([
          .string("ByzRuntimeTests.Idle"), .map([]), .array([]), .array([]), .null, .map(output),
        ]),
      ])
    }
    let codes = try await codes(of: [idle(100), idle(113), idle(1 << 38)]) { $0.message = 900 }
    #expect(codes == [nil, .limitExceeded, .limitExceeded])
    // And no more of them than a message may have.
    let few = try await self.codes(of: [idle(1)]) { $0.segments = 1 }
    #expect(few == [.limitExceeded])
  }

  @Test("calls that one message holds; another is refused where it is made, and is not sent")
  func calls() async throws {
    let echo = keep("a", index: 0).serialized()
    let cases: [(WireLimits, body: Int, segments: Int, name: String)] = [
      (WireLimits(), 100, 8193, "WireLimits.segments, 8192"),
      (endless, 100, 65_536, "65536 segments, more than the format allows, 65535"),
      (WireLimits(), (16 << 20) + 1, 0, "WireLimits.body, 16777216"),
      (endless, 1 << 32, 0, "4294967296 bytes of body, more than the format allows, 4294967295"),
    ]
    for (limits, byteCount, count, name) in cases {
      try await withClient({ $0 = limits }) { (client) async throws -> Void in
        // Memory that nobody touches.
        let body = [UInt8](unsafeUninitializedCapacity: byteCount) { $1 = byteCount }
        let segment = Segment(storage: TensorStorage(byteCount: 0), offset: 0, byteCount: 0)
        let error = await #expect(throws: RuntimeError.self) {
          try await client.call(body: body, segments: Array(repeating: segment, count: count))
        }
        #expect(error?.code == .malformedMessage)
        #expect(error?.message.contains(name) == true, "\(String(describing: error))")
        #expect(try await client.call(body: echo).kind == .reply)
      }
    }
  }

  /// Whatever the format allows.
  private var endless: WireLimits {
    var limits = WireLimits()
    (limits.body, limits.message, limits.segments) = (.max, .max, .max)
    return limits
  }
}

@Suite("WireLimits.decoded")
struct DecodedLimitTests {
  private static let bodies: [[UInt8]] = [
    WireValue.array(Array(repeating: .null, count: 500)).serialized(),
    WireValue.map((0..<500).map { .init(key: "\($0)", value: .null) }).serialized(),
    WireValue.array(Array(repeating: .string(""), count: 300)).serialized(),
    WireValue.bytes(Array(repeating: 0, count: 10_000)).serialized(),
    WireValue.array([.array([.null, .null])]).serialized(),
  ]

  @Test("refuses what takes more, naming the limit, and nothing that takes less", arguments: 0..<5)
  func bound(index: Int) throws {
    let body = Self.bodies[index]
    var limits = WireLimits()
    _ = try WireValue(parsing: body, limits: limits)
    limits.decoded = 40
    let error = #expect(throws: RuntimeError.self) {
      _ = try WireValue(parsing: body, limits: limits)
    }
    #expect(error?.code == .malformedMessage)
    #expect(error?.message.contains("WireLimits.decoded, 40") == true)
  }
}
