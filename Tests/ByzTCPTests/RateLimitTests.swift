import ByzRuntime
import ByzTCP
import Testing

@Suite("How much a connection may bring in a second", .timeLimit(.minutes(1)))
struct RateLimitTests {
  private static let second: UInt64 = 1_000_000_000

  @Test("a second's worth comes at once, and what comes beyond it waits for its time")
  func burst() {
    var limit = RateLimit(bytesPerSecond: 1000, messagesPerSecond: nil)
    limit.received(bytes: 1000, at: 0)
    #expect(limit.pause(at: 0) == 0)
    limit.received(bytes: 500, at: 0)
    #expect(limit.pause(at: 0) == 500_000_000)
    #expect(limit.pause(at: Self.second / 4) == 250_000_000)
    #expect(limit.pause(at: Self.second / 2) == 0)
  }

  @Test("who was silent for long may send a second's worth and no more")
  func silence() {
    var limit = RateLimit(bytesPerSecond: nil, messagesPerSecond: 10)
    let now = 100 * Self.second
    for _ in 0..<10 { limit.receivedMessage(at: now) }
    #expect(limit.pause(at: now) == 0)
    limit.receivedMessage(at: now)
    #expect(limit.pause(at: now) == 100_000_000)
  }

  @Test("the stricter of both limits counts")
  func both() {
    var limit = RateLimit(bytesPerSecond: 1000, messagesPerSecond: 2)
    for _ in 0..<4 {
      limit.received(bytes: 1, at: 0)
      limit.receivedMessage(at: 0)
    }
    #expect(limit.pause(at: 0) == 1_000_000_000)
    limit.received(bytes: 2996, at: 0)
    #expect(limit.pause(at: 0) == 2_000_000_000)
  }

  /// How long messages of one call each take to come back, all sent at once.
  private func time(
    _ options: TCPListenerOptions, messages: UInt64, byteCount: Int
  ) async throws -> Duration {
    try await EchoHost.run(options) { host in
      let client = try await host.connect()
      let body = [UInt8](repeating: 1, count: byteCount)
      let start = ContinuousClock.now
      for call in 0..<messages { client.link.send(Message(.call, call: call, body: body)) }
      for call in 0..<messages {
        let echo = try await client.inbox.message()
        #expect(echo.call == call && echo.body == body)
      }
      return ContinuousClock.now - start
    }
  }

  @Test("messages beyond the limit come later, none is lost, and their order stays")
  func messages() async throws {
    var options = TCPListenerOptions()
    options.maxMessagesPerSecond = 1000
    // The same read brings many of them.
    let time = try await time(options, messages: 1700, byteCount: 3)
    #expect(time > .milliseconds(650))
  }

  @Test("bytes beyond the limit come later, in messages longer and shorter than a read")
  func bytes() async throws {
    var options = TCPListenerOptions()
    options.maxBytesPerSecond = 4 << 20
    for (messages, byteCount) in [(UInt64(6), 1 << 20), (600, 10 << 10)] {
      let time = try await time(options, messages: messages, byteCount: byteCount)
      #expect(time > .milliseconds(350))
    }
  }

  @Test(
    "what came before the end of a connection counts, and a pause does not hold up the listener")
  func end() async throws {
    var options = TCPListenerOptions()
    options.maxMessagesPerSecond = 1000
    let inbox = Inbox()
    func send(to address: TCPAddress) async throws -> Client {
      let client = Client(
        link: try await TCPBackend(address, options: TCPOptions()).openLink(named: "test"))
      for call in 0..<3000 as Range<UInt64> { client.link.send(Message(.call, call: call)) }
      return client
    }
    func expect(_ calls: Range<UInt64>) async throws {
      for call in calls { #expect(try await inbox.message().call == call) }
    }
    let (_, start) = try await withTCPListener(
      options: options, accept: { link, _ in link.start(inbox) },
      body: { address in
        let client = try await send(to: address)
        try await expect(0..<1001)
        // The other side hears of the end while it waits.
        client.link.closeWhenSent(RuntimeError(.stopped, "The test is over."))
        try await expect(1001..<3000)
        let reason = try await inbox.closure()
        #expect(!reason.message.contains("in the middle of a message"), "\(reason)")
        // Another waits while the listener ends.
        let other = try await send(to: address)
        try await expect(0..<1001)
        return (other, ContinuousClock.now)
      })
    #expect(ContinuousClock.now - start < .seconds(10))
  }

  @Test("who waits is not lost by silence, nor for being slow")
  func patience() async throws {
    var options = TCPListenerOptions()
    (options.maxBytesPerSecond, options.minimumBytesPerSecond) = (1 << 20, 1 << 20)
    options.progressInterval = .milliseconds(300)
    var worker = WorkerServerOptions()
    worker.liveness = Liveness(interval: .milliseconds(30), timeout: .milliseconds(800))
    try await withWorkerServer(registry: Registry(), listener: options, options: worker) { server in
      let liveness = Liveness(interval: .milliseconds(100), timeout: .seconds(30))
      try await withActorSystem(Registry(), liveness: liveness) { system in
        let peer = try await system.connect(
          to: TCPBackend(try TCPAddress(server.address)), named: "worker")
        let mailbox = MailboxAddress(host: try #require(peer.hello).host, name: "none")
        // 4 MiB, of which 3 have to wait.
        let error = await #expect(throws: RuntimeError.self) {
          try await system.send([UInt8](repeating: 1, count: 4 << 20), to: mailbox)
        }
        #expect(error?.code == .unknownTarget)
      }
    }
  }

  @Test("a limit below what one read may bring is refused")
  func tooLow() async throws {
    for (bytes, messages, name) in [
      ((1 << 20) - 1, nil, "maxBytesPerSecond"), (nil, 999, "maxMessagesPerSecond"),
      ((2 << 20) - 1, nil, "maxBytesPerSecond"),
    ] as [(Int?, Int?, String)] {
      var options = TCPListenerOptions()
      options.minimumBytesPerSecond = 2 << 20
      (options.maxBytesPerSecond, options.maxMessagesPerSecond) = (bytes, messages)
      let error = await #expect(throws: RuntimeError.self) {
        try await EchoHost.run(options) { _ in }
      }
      #expect(error?.code == .invalidConfiguration)
      #expect(error?.message.contains(name) == true)
    }
  }
}
