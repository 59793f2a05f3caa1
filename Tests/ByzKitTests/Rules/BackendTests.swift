import ByzKit
import ByzRuntime
import ByzTCP
import ByzTensor
import ByzTesting
import ByzUCX
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

@Suite("Rules and nodes on every backend", .timeLimit(.minutes(5)))
struct BackendTests {
  /// Other tests may keep this process's tasks from saying hello for long.
  private static let patient = {
    var options = TCPListenerOptions()
    options.handshakeTimeout = .seconds(60)
    return options
  }()

  @Test("Every rule gives the bits of the direct call on child processes, and beside threads")
  func processes() async throws { try await checkEveryRule(on: .testProcesses(2)) }

  @Test("Every rule gives the bits of the direct call over TCP, and beside threads")
  func tcp() async throws {
    try await withWorkerServer(registry: .byzKit, listener: Self.patient) { server in
      try await checkEveryRule(
        on: WorkerConfiguration(backend: .tcp(server.address), count: 2))
    }
  }

  @Test(
    "Every rule gives the bits of the direct call over UCX, and beside threads",
    .enabled(if: UCX.isAvailable, "UCX is not installed: apt-get install libucx0 libucx-dev"))
  func ucx() async throws {
    try await withUCXWorkerServer(on: "127.0.0.1:0", registry: .byzKit) { server in
      let address = String(server.address.trimmingPrefix("ucx://"))
      try await checkEveryRule(on: WorkerConfiguration(backend: .ucx(address), count: 2))
    }
  }

  @Test("Every rule gives the bits of the direct call on a process, a host and a thread together")
  func mixture() async throws {
    try await withWorkerServer(registry: .byzKit, listener: Self.patient) { server in
      try await checkEveryRule(
        on: .testProcesses(1), WorkerConfiguration(backend: .tcp(server.address), count: 1))
    }
  }

  private func checkEveryRule(on workers: WorkerConfiguration...) async throws {
    let d = 2 * 2048 + 77
    let floats = PoolTests.vectors(Float.self, d: d)
    let doubles = PoolTests.vectors(Double.self, d: d)
    try await withActorPool(workers + [.threads(1)]) { (pool) async throws -> Void in
      for tested in TestedRule.all {
        let f = try #require(tested.f(n: PoolTests.n))
        let rule = tested.make(PoolTests.n, f, 1)
        let expected = try rule.outputs(floats)
        for chunkSize in [nil, 1000] {
          let actual = try await rule.outputs(floats, on: pool, chunkSize: chunkSize)
          #expect(hasSameBits(actual, expected), "\(rule)")
        }
        let expectedDoubles = try rule.outputs(doubles)
        let actualDoubles = try await rule.outputs(doubles, on: pool, chunkSize: 1000)
        #expect(hasSameBits(actualDoubles, expectedDoubles), "\(rule)")
      }
      let remote = pool.statistics.filter { $0.backend != "thread" }
      #expect(remote.count == 2 && remote.allSatisfy { $0.completed > 0 && $0.failed == 0 })
    }
  }

  @Test("Every rule gives the bits of the direct call though it loses a child process")
  func processesLost() async throws {
    try await checkEveryRule(losing: ProcessBackend(running: KitWorker.self))
  }

  @Test("Every rule gives the bits of the direct call though it loses a TCP connection")
  func tcpLost() async throws {
    try await withWorkerServer(registry: .byzKit, listener: Self.patient) { server in
      try await checkEveryRule(losing: .tcp(server.address))
    }
  }

  @Test(
    "Every rule gives the bits of the direct call though it loses a UCX connection",
    .enabled(if: UCX.isAvailable, "UCX is not installed: apt-get install libucx0 libucx-dev"))
  func ucxLost() async throws {
    try await withUCXWorkerServer(on: "127.0.0.1:0", registry: .byzKit) { server in
      try await checkEveryRule(losing: .ucx(String(server.address.trimmingPrefix("ucx://"))))
    }
  }

  /// Each rule loses a worker of the backend, right after it was sent a subtask.
  private func checkEveryRule(losing backend: any WorkerBackend) async throws {
    let vectors = PoolTests.vectors(Float.self, d: 2048 + 77)
    let fuse = Monitor(false)
    let mortals = WorkerConfiguration(
      backend: MortalBackend(base: try #require(backend as? any LinkBackend), fuse: fuse), count: 2,
      restarts: RestartPolicy(maxRestarts: .max, backOff: .zero))
    try await withActorPool(mortals, .threads(1)) { (pool) async throws -> Void in
      for tested in Self.rulesToLose {
        let rule = tested.make(PoolTests.n, try #require(tested.f(n: PoolTests.n)), 1)
        let expected = try rule.outputs(vectors)
        // Both are there again, to be the first that are given work.
        while pool.workerCount() < 3 {
          try Task.checkCancellation()
          _ = try await rule.outputs(vectors, on: pool, chunkSize: 512)
        }
        let before = pool.lostSubtaskCount
        fuse.withLock { $0 = true }
        let actual = try await rule.outputs(vectors, on: pool, chunkSize: 512)
        #expect(hasSameBits(actual, expected), "\(rule)")
        #expect(pool.lostSubtaskCount == before + 1, "\(rule)")
      }
    }
  }

  /// In debug, where a process takes long to start, every third.
  private static var rulesToLose: [TestedRule] {
    #if DEBUG
      TestedRule.all.enumerated().filter { $0.offset % 3 == 0 }.map(\.element)
    #else
      TestedRule.all
    #endif
  }

  @Test("Every rule gives the bits of the direct call while a worker is killed")
  func killed() async throws {
    let vectors = PoolTests.vectors(Float.self, d: 4 * 2048)
    let name = "mortal-\(getpid())"
    let mortals = WorkerConfiguration.testProcesses(
      3, name: name, restarts: RestartPolicy(maxRestarts: .max, backOff: .zero))
    try await withActorPool(mortals, .threads(1)) { (pool) async throws -> Void in
      var hits = 0
      let rules = Self.rulesToLose
      for tested in rules {
        let rule = tested.make(PoolTests.n, try #require(tested.f(n: PoolTests.n)), 1)
        let expected = try rule.outputs(vectors)
        // At any moment of its work, or before or after it: until one has hit, or many have not.
        let before = pool.lostSubtaskCount
        for _ in 0..<5 where pool.lostSubtaskCount == before {
          // One that has not come up yet has nothing to lose; it is made when there is work.
          while pool.workerCount() < 4 {
            try Task.checkCancellation()
            _ = try await rule.outputs(vectors, on: pool, chunkSize: 512)
          }
          let victim = workers(named: name).randomElement()
          async let actual = rule.outputs(vectors, on: pool, chunkSize: 512)
          try await Task.sleep(for: .microseconds(.random(in: 0...1000)))
          if let victim { kill(victim, SIGKILL) }
          #expect(hasSameBits(try await actual, expected), "\(rule)")
        }
        if pool.lostSubtaskCount > before { hits += 1 }
      }
      // Some rules are one short subtask, which is hard to hit.
      #expect(hits >= rules.count / 6)
    }
  }

  @Test("Training gives the same bits with nodes in child processes")
  func training() async throws {
    let problem = try Problem()
    func train(on pool: ActorPool?) async throws -> Tensor<Float> {
      var server = try problem.server(
        honest: 5, attack: Gaussian(), byzantine: 1, rule: MultiKrum(f: 1, q: 3))
      for _ in 0..<6 { try await server.round(on: pool) }
      return server.parameters
    }
    let expected = try await train(on: nil)
    let name = "learner-\(getpid())"
    try await withActorPool(.testProcesses(2, name: name)) { (pool) async throws -> Void in
      let actual = try await train(on: pool)
      #expect(actual.hasSameBits(as: expected))
      #expect(pool.statistics.allSatisfy { $0.completed > 0 })
      for victim in workers(named: name) { kill(victim, SIGKILL) }
      let again = try await train(on: pool)
      #expect(again.hasSameBits(as: expected))
    }
  }

  /// The child processes whose workers' names begin with `name`; other tests have children, too.
  private func workers(named name: String) -> [pid_t] {
    guard let folder = opendir("/proc") else { return [] }
    defer { closedir(folder) }
    var found: [pid_t] = []
    while let entry = readdir(folder) {
      let number = withUnsafeBytes(of: entry.pointee.d_name) {
        pid_t(String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self))
      }
      guard let number, let file = fopen("/proc/\(number)/cmdline", "r") else { continue }
      defer { fclose(file) }
      var line = [UInt8](repeating: 0, count: 512)
      let count = fread(&line, 1, line.count, file)
      let words = line.prefix(count).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
      if words.first == "byzkit-worker", words.last?.hasPrefix(name) == true {
        found.append(number)
      }
    }
    return found
  }
}

/// Workers of another backend; when the fuse is lit, the first that is asked for something loses its connection, once it has been sent.
private struct MortalBackend: LinkBackend {
  let base: any LinkBackend
  let fuse: Monitor<Bool>

  var name: String { base.name }
  var capabilities: Set<Capability> { base.capabilities }
  var authenticator: (any LinkAuthenticator)? { base.authenticator }
  var isSameProgram: Bool { base.isSameProgram }

  func openLink(named name: String) async throws -> any Link {
    MortalLink(try await base.openLink(named: name), fuse)
  }

  private final class MortalLink: Link {
    private let link: any Link
    private let fuse: Monitor<Bool>
    private let isDying = Monitor(false)

    init(_ link: any Link, _ fuse: Monitor<Bool>) { (self.link, self.fuse) = (link, fuse) }

    var peerName: String { link.peerName }
    var limits: WireLimits { link.limits }
    var isFull: Bool { link.isFull }

    func send(_ message: Message) {
      let isLast =
        message.kind == .call
        && fuse.withLock { isLit in
          defer { isLit = false }
          return isLit
        }
      if isLast { isDying.withLock { $0 = true } }
      link.send(message)
      if isLast { close(RuntimeError(.workerLost, "The test breaks the connection.")) }
    }

    func start(_ receiver: any LinkReceiver) {
      link.start(Receiver(receiver: receiver, isDying: isDying))
    }

    /// The answer to the last call may be faster than the end of the connection.
    private final class Receiver: LinkReceiver {
      let receiver: any LinkReceiver
      let isDying: Monitor<Bool>

      init(receiver: any LinkReceiver, isDying: Monitor<Bool>) {
        (self.receiver, self.isDying) = (receiver, isDying)
      }

      func receive(_ message: Message) {
        if !isDying.withLock({ $0 }) { receiver.receive(message) }
      }
      func heard() { receiver.heard() }
      func linkClosed(_ reason: RuntimeError) { receiver.linkClosed(reason) }
    }

    func copies(_ segments: [Segment]) -> Bool { link.copies(segments) }
    func storage(toSend byteCount: Int) -> TensorStorage { link.storage(toSend: byteCount) }
    func waitUntilWritable() async throws { try await link.waitUntilWritable() }
    func close(_ reason: RuntimeError) { link.close(reason) }
    func closeWhenSent(_ reason: RuntimeError) { link.closeWhenSent(reason) }
    func authenticated() { link.authenticated() }
  }
}
