import ByzRuntime
import Testing

/// Answers with a long text, and says that it does.
struct Recital: Subtask {
  static let begun = AsyncStream.makeStream(of: Int.self)
  let number: Int
  let byteCount: Int

  func run(_ operands: Operands) throws -> String {
    Self.begun.continuation.yield(number)
    return String(repeating: "x", count: byteCount)
  }
}

// The sanitizers take their time.
@Suite("Answers that nobody reads", .serialized, .timeLimit(.minutes(5)))
struct UnreadAnswersTests {
  /// Reads the other side's hello, and nothing more before it is let.
  private final class Reader: LinkReceiver {
    let inbox = Inbox()
    private let hasGreeted = Monitor(false)
    private let mayRead = Signal()

    func receive(_ message: Message) {
      let isFirst = hasGreeted.withLock { hasGreeted in
        defer { hasGreeted = true }
        return !hasGreeted
      }
      if !isFirst { mayRead.block() }
      inbox.receive(message)
    }

    func linkClosed(_ reason: RuntimeError) { inbox.linkClosed(reason) }

    func read() { mayRead.send() }
  }

  /// A client that speaks for itself, and what a worker says of it.
  private struct Client {
    let link: any Link
    /// The worker's end.
    let worker: any Link
    let epoch: UInt32
    let reader: Reader
    let sent: AsyncStream<Int>
    let ended: AsyncStream<RuntimeError>

    func send(_ kind: Message.Kind, call: UInt64 = 0, body: [UInt8]) {
      link.send(Message(kind, epoch: epoch, call: call, body: body))
    }

    /// Asks for so many bytes.
    func ask(_ number: Int, byteCount: Int) {
      let recital: [WireValue.Entry] = [
        .init(key: "number", value: .int(Int64(number))),
        .init(key: "byteCount", value: .int(Int64(byteCount))),
      ]
      let request = WireValue.array([
        .unsigned(3),
        .array([
          .string("ByzRuntimeTests.Recital"), .map(recital), .array([]), .array([]), .null, .null,
        ]),
      ])
      send(.call, call: UInt64(number), body: request.serialized())
    }

    /// The size of what the worker sends next.
    func nextSent() async -> Int? {
      for await byteCount in sent { return byteCount }
      return nil
    }
  }

  /// Connects to a worker that carries out so many calls at a time.
  private func withClient(calls: Int, _ body: (Client) async throws -> Void) async throws {
    let (sent, isSent) = AsyncStream.makeStream(of: Int.self)
    let (ended, hasEnded) = AsyncStream.makeStream(of: RuntimeError.self)
    var options = WorkerServerOptions()
    // The client is silent, and the worker's own pings would be counted.
    options.liveness = Liveness(interval: .seconds(3600), timeout: .seconds(3600))
    options.observer = { event in
      switch event {
      case .sent(let byteCount): isSent.yield(byteCount)
      case .ended(_, let reason): hasEnded.yield(reason)
      default: break
      }
    }
    var limits = WireLimits()
    limits.calls = calls
    let pair = try LinkPair(limits: limits)
    let registry = Registry(subtasks: [Recital.self])
    let sessions = WorkerSessions(registry: registry, options: options) { address in
      throw RuntimeError(.transportUnavailable, address)
    }
    try await sessions.run(at: "here") { _ in
      sessions.accept(pair.here, nil)
      let reader = Reader()
      defer { reader.read() }
      pair.there.start(reader)
      let hello = ByzActorSystem(registry: registry).hello(namesBLAS: false)
      pair.there.send(Message(.hello, epoch: 5, body: Hello.encode(hello)))
      let epoch = try await reader.inbox.next().epoch
      let client = Client(
        link: pair.there, worker: pair.here, epoch: epoch, reader: reader, sent: sent, ended: ended)
      #expect(await client.nextSent() != nil)
      try await body(client)
      pair.close()
    }
  }

  /// Leaves the reader with an answer in hand, and then more unread than a socket and the high-water mark hold.
  private func fill(_ client: Client) async throws {
    for number in 1...3 {
      client.ask(number, byteCount: number == 1 ? 1 : 12 << 20)
      #expect(await client.nextSent() != nil)
    }
    #expect(await eventually { client.worker.isFull })
  }

  @Test("end the connection when pings and calls that are refused are answered without end")
  func flood() async throws {
    try await withClient(calls: 1) { (client) async throws -> Void in
      try await fill(client)
      // There is no room for its answer, so it counts as under way, and those that follow are one too many.
      client.ask(4, byteCount: 1)
      for number in 1...PeerState.mostUnread / Message(.pong).byteCount {
        client.send(.ping, body: [UInt8](repeating: 0, count: 8))
        if number % 100 == 0 {
          client.ask(4 + number, byteCount: 1)
          // It takes long, and others want a turn.
          await Task.yield()
        }
      }
      for await reason in client.ended {
        #expect(reason.code == .limitExceeded, "\(reason)")
        break
      }
    }
  }

  @Test("wait for room, and their calls count as under way until there is some")
  func room() async throws {
    try await withClient(calls: 8) { (client) async throws -> Void in
      try await fill(client)
      for number in 4...11 { client.ask(number, byteCount: 1) }
      for await number in Recital.begun.stream where number == 11 { break }
      for number in 12...60 {
        client.ask(number, byteCount: 1)
        // The refusal.
        #expect(await client.nextSent() != nil)
      }
      client.reader.read()
      var answers: [UInt64: Message.Kind] = [:]
      while answers.count < 60 {
        let answer = try await client.reader.inbox.next()
        answers[answer.call] = answer.kind
      }
      #expect(answers.filter { $0.value == .reply }.keys.sorted() == Array(1...11))
      // There is room again.
      client.ask(61, byteCount: 1)
      #expect(try await client.reader.inbox.next().kind == .reply)
    }
  }
}
