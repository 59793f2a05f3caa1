import ByzRuntime
import ByzTCP
import Foundation
import NIOCore
import NIOPosix
import Testing

@Suite("TCP backend", .timeLimit(.minutes(2)))
struct TCPBackendTests {
  /// A port that nobody listens on any more.
  func freePort() async throws -> TCPAddress {
    try await EchoHost.run { $0.address }
  }

  /// One attempt, in little time.
  var once: TCPOptions {
    var options = TCPOptions()
    options.retry.attempts = 1
    return options
  }

  func expectFailure(
    _ backend: TCPBackend, _ code: RuntimeError.Code, _ text: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async {
    let error = await #expect(throws: RuntimeError.self, sourceLocation: sourceLocation) {
      try await backend.openLink(named: "test")
    }
    #expect(error?.code == code, "\(String(describing: error))", sourceLocation: sourceLocation)
    #expect(
      error?.message.contains(text) == true, "\(String(describing: error))",
      sourceLocation: sourceLocation)
  }

  @Test("ends at once when it is cancelled while the address is looked up")
  func lookup() async throws {
    let resolver = DeafResolver()
    var options = once
    options.connectTimeout = .seconds(60)
    let attempt = TCPAttempt(
      address: try TCPAddress("nobody.invalid:1"), options: options, context: nil,
      resolver: resolver)
    let start = ContinuousClock.now
    let connecting = Task { try await attempt.run() }
    for await _ in resolver.asked { break }
    connecting.cancel()
    await #expect(throws: CancellationError.self) { try await connecting.value }
    #expect(ContinuousClock.now - start < .seconds(30))
  }

  @Test("waits longer and longer for a listener that comes up late")
  func late() async throws {
    let address = try await freePort()
    var options = TCPOptions()
    options.retry.attempts = 6
    options.retry.seed = 7
    var delays: [Duration] = []
    let (up, isUp) = AsyncStream.makeStream(of: Void.self)
    let (done, isDone) = AsyncStream.makeStream(of: Void.self)
    var listener: Task<Void, any Error>?
    let link = try await TCPBackend(address, options: options).openLink { delay in
      delays.append(delay)
      guard delays.count == 3 else { return }
      listener = Task {
        try await EchoHost.run(on: address) { _ in
          isUp.yield()
          for await _ in done { break }
        }
      }
      for await _ in up { break }
    }
    let client = Client(link: link)
    try await client.expectEcho([1])
    var expected = BackOff(options.retry)
    #expect(delays == (0..<3).map { _ in expected.next() })
    isDone.finish()
    try await listener?.value
  }

  @Test("says after how many attempts nobody answered, and what to do")
  func refused() async throws {
    let address = try await freePort()
    await expectFailure(
      TCPBackend(address, options: once), .workerStartFailed, "connection refused")
    var options = TCPOptions()
    options.retry.attempts = 3
    options.retry.base = .milliseconds(1)
    await expectFailure(
      TCPBackend(address, options: options), .workerStartFailed, "Tried 3 times")
  }

  @Test("says why nobody answered when its time is over, however often it may try")
  func overdue() async throws {
    let address = try await freePort()
    var options = TCPOptions()
    options.retry.attempts = .max
    let backend = TCPBackend(address, options: options)
    var error: RuntimeError?
    // On a busy machine the first time may be over before the first attempt.
    for seconds in [3, 20, 60] where !(error?.cause is RuntimeError) {
      error = await #expect(throws: RuntimeError.self) {
        try await withDeadline(.seconds(seconds)) { _ = try await backend.openLink(named: "test") }
      }
      #expect(error?.code == .deadlineExceeded)
    }
    let cause = error?.cause as? RuntimeError
    #expect(cause?.message.contains("connection refused") == true, "\(String(describing: error))")
  }

  @Test("says that a host is not known")
  func unknownHost() async throws {
    // Longer than a label may be, so that no name service is asked.
    let name = String(repeating: "x", count: 64) + ".test:1"
    await expectFailure(.tcp(name, once), .transportUnavailable, "not known")
  }

  @Test("gives up on a host that does not answer in time")
  func silentHost() async throws {
    let silent = try RawSocket(listening: ())
    var options = once
    options.tls = Certificates.tls("client")
    options.connectTimeout = .milliseconds(200)
    await expectFailure(
      .tcp("127.0.0.1:\(silent.port)", options), .workerStartFailed, "no answer within")
  }

  @Test("stops waiting for a host when it is cancelled")
  func cancellation() async throws {
    let silent = try RawSocket(listening: ())
    var options = once
    options.tls = Certificates.tls("client")
    options.connectTimeout = .seconds(3600)
    let backend = TCPBackend.tcp("127.0.0.1:\(silent.port)", options)
    // At once, and at moments while it is being opened.
    for pause in 0..<50 {
      let opening = Task { _ = try await backend.openLink(named: "test") }
      for _ in 0..<pause * 20 { await Task.yield() }
      opening.cancel()
      await #expect(throws: CancellationError.self) { try await opening.value }
    }
  }

  @Test("refuses a text that is no address, and port 0, when it is used")
  func badAddress() async {
    await expectFailure(.tcp("worker-3"), .invalidConfiguration, "worker-3")
    await expectFailure(.tcp("worker-3:0"), .invalidConfiguration, "port 0")
  }

  @Test(
    "refuses to speak plainly to another machine's address unless told to",
    .enabled(if: Self.ownAddress != nil, "This machine has no address but loopback."))
  func plainElsewhere() async throws {
    let own = try #require(Self.ownAddress)
    var open = TCPListenerOptions()
    open.insecure = true
    try await EchoHost.run(on: try TCPAddress("0.0.0.0:0"), open) { host in
      let text = "\(own):\(host.address.port)"
      await expectFailure(.tcp(text, once), .invalidConfiguration, "insecure")
      var options = once
      options.insecure = true
      let backend = TCPBackend.tcp(text, options)
      let client = Client(link: try await backend.openLink(named: "test"))
      try await client.expectEcho([1])
    }
  }

  /// An IPv4 address of this machine that is not loopback.
  static var ownAddress: String? {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return nil }
    defer { freeifaddrs(list) }
    for item in sequence(first: list, next: { $0?.pointee.ifa_next }) {
      guard let address = item?.pointee.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET)
      else { continue }
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      let size = socklen_t(MemoryLayout<sockaddr_in>.size)
      guard
        getnameinfo(address, size, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
      else { continue }
      let host = text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
      if !host.hasPrefix("127.") { return host }
    }
    return nil
  }
}

@Suite("Back-off")
struct BackOffTests {
  @Test("doubles up to its cap, with at most half of it random")
  func bounds() {
    var policy = RetryPolicy()
    policy.attempts = 10
    policy.base = .milliseconds(100)
    policy.cap = .seconds(2)
    for seed in 0..<100 {
      policy.seed = UInt64(seed)
      var backOff = BackOff(policy)
      for limit in [100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000] {
        let delay = backOff.next() ?? .zero
        #expect(delay >= .milliseconds(limit) / 2 && delay <= .milliseconds(limit))
      }
      #expect(backOff.next() == nil)
    }
  }

  @Test("is the same for the same seed, and differs between seeds and without one")
  func seeds() {
    func delays(_ seed: UInt64?) -> [Duration] {
      var policy = RetryPolicy()
      policy.seed = seed
      var backOff = BackOff(policy)
      return (0..<7).compactMap { _ in backOff.next() }
    }
    #expect(delays(1) == delays(1))
    #expect(delays(1) != delays(2))
    #expect(delays(nil) != delays(nil))
    #expect(delays(1).count == 7)
  }
}

/// Finds no address, and takes its time.
private final class DeafResolver: Resolver, Sendable {
  let (asked, asking) = AsyncStream.makeStream(of: Void.self)
  private let loop = MultiThreadedEventLoopGroup.singleton.next()
  private let answer: EventLoopPromise<[SocketAddress]>

  init() { answer = loop.makePromise() }

  func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
    asking.yield()
    return answer.futureResult
  }

  func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
    answer.futureResult
  }

  func cancelQueries() {}

  deinit { answer.fail(CancellationError()) }
}
