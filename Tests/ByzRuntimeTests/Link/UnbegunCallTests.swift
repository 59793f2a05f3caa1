import ByzRuntime
import ByzTensor
import Testing

@Suite("A call whose turn has not come", .timeLimit(.minutes(3)))
struct UnbegunCallTests {
  /// Serves on one thread, and says which calls have come and which it has begun.
  private final class Server: CallServer {
    let thread = ThreadExecutor(name: "server")
    let arrived = Log<UInt64>()
    let served = Log<UInt64>()

    func executor(for call: Message) -> (any TaskExecutor)? {
      arrived.append(call.call)
      return thread
    }

    func serve(_ call: Message, from peer: Peer) async -> Message {
      served.append(call.call)
      return Message(.reply, body: WireValue.null.serialized())
    }
  }

  /// Says what was sent.
  private final class RecordingLink: Link {
    private let link: MemoryLink
    let sent = Log<Message.Kind>()

    init(_ link: MemoryLink) { self.link = link }

    var peerName: String { link.peerName }
    var limits: WireLimits { link.limits }
    func start(_ receiver: any LinkReceiver) { link.start(receiver) }
    func send(_ message: Message) {
      link.send(message)
      sent.append(message.kind)
    }
    func waitUntilWritable() async throws { try await link.waitUntilWritable() }
    func close(_ reason: RuntimeError) { link.close(reason) }
  }

  /// Two ends of a connection, and a server whose thread waits for a signal before it begins the first call.
  private struct Pair {
    let here: RecordingLink
    let server = Server()
    let hold = Signal()
    let client: Peer
    let worker: Peer

    init() async throws {
      let (here, there) = MemoryLink.pair()
      self.here = RecordingLink(here)
      func hello(_ host: UInt64) -> Hello {
        Hello(
          host: host, name: "test", types: [:], kernels: "", blas: "", requiresSameBits: false)
      }
      client = Peer(link: self.here, hello: hello(1))
      worker = Peer(link: there, server: server, hello: hello(2))
      worker.begin()
      try await client.open()
      let hold = hold
      Task(executorPreference: server.thread) { hold.block() }
    }
  }

  @Test("does not begin when its caller has given up, and the next one does")
  func cancelled() async throws {
    let pair = try await Pair()
    let call = Task { try await pair.client.call(body: []) }
    #expect(await eventually { pair.server.arrived.entries == [1] })
    call.cancel()
    #expect(await eventually { pair.here.sent.entries.contains(.cancel) })
    try await expectNext(pair)
    #expect(try await call.value.kind == .failure)
  }

  @Test("does not begin when its time is over")
  func late() async throws {
    let pair = try await Pair()
    let error = await #expect(throws: RuntimeError.self) {
      try await pair.client.call(body: [], timeLeft: .milliseconds(50))
    }
    #expect(error?.code == .deadlineExceeded)
    #expect(await eventually { pair.here.sent.entries.contains(.cancel) })
    try await expectNext(pair)
  }

  /// Another call comes, after all that was sent before, and is the only one that begins.
  private func expectNext(_ pair: Pair) async throws {
    let next = Task { try await pair.client.call(body: []) }
    #expect(await eventually { pair.server.arrived.entries == [1, 2] })
    pair.hold.send()
    #expect(try await next.value.kind == .reply)
    #expect(pair.server.served.entries == [2])
    await pair.client.close()
  }

  @Test("does not begin when the connection has ended")
  func lost() async throws {
    let pair = try await Pair()
    let call = Task { try await pair.client.call(body: []) }
    #expect(await eventually { pair.server.arrived.entries == [1] })
    pair.here.close(RuntimeError(.workerLost, "The test breaks the connection."))
    _ = await pair.worker.waitUntilEnded()
    pair.hold.send()
    await #expect(throws: RuntimeError.self) { try await call.value }
    await pair.server.thread.stop()
    #expect(pair.server.served.entries.isEmpty)
  }
}
