import ByzAuthentication
import ByzKit
import ByzLaunch
import ByzRuntime
import ByzTCP
import ByzUCX
import Foundation
import Testing

@Suite("byzkit worker", .timeLimit(.minutes(2)))
struct WorkerCommandTests {
  struct Status: Decodable {
    let listening: String
    let pid: Int32
    let kernels: KernelVariant
  }

  struct End: Decodable {
    let ended: String
    let totals: WorkerServerTotals
  }

  /// A worker that listens, in a process of its own.
  final class Host {
    let process: Process
    let status: Status
    private let output: FileHandle

    init(
      _ tool: Tool, _ arguments: String..., overUCX: Bool = false,
      environment: [String: String] = [:],
      log: (level: String, file: FileHandle?) = ("critical", nil)
    ) throws {
      process = try tool.process(
        ["worker", "--listen", "127.0.0.1:0", "--log-level", log.level]
          + (overUCX ? ["--ucx"] : []) + arguments,
        environment: environment)
      if let file = log.file { process.standardError = file }
      let pipe = Pipe()
      process.standardOutput = pipe
      output = pipe.fileHandleForReading
      try process.run()
      var line = Data()
      while let byte = try output.read(upToCount: 1), byte != Data("\n".utf8) { line += byte }
      status = try JSONDecoder().decode(Status.self, from: line)
    }

    deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

    /// What it says at its end.
    /// - Parameter isTerminating: whether it has been told to end: a second signal would not let it finish.
    func end(isTerminating: Bool = false) throws -> End {
      if !isTerminating { process.terminate() }
      let line = try output.readToEnd() ?? Data()
      process.waitUntilExit()
      return try JSONDecoder().decode(End.self, from: line)
    }
  }

  private let vectors: [Tensor<Float>] = (0..<7).map { .normal(shape: [1001], key: RandomKey($0)) }

  private func expectMedian(
    on address: String, _ options: BackendOptions = BackendOptions(),
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let workers = try WorkerConfiguration.parsing("\(address)*2", options: options)
    let pooled = try await withActorPool(workers, registry: .byzKit) {
      try await Median().aggregate(vectors, on: $0, chunkSize: 256)
    }
    #expect(try pooled.hasSameBits(as: Median().aggregate(vectors)), sourceLocation: sourceLocation)
  }

  @Test("it says where it listens, serves pools, and ends with 0 on SIGTERM")
  func serves() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let host = try Host(tool, environment: ["BYZKIT_KERNELS": "plain"])
    #expect(host.status.pid == host.process.processIdentifier)
    #expect(host.status.kernels == .plain)
    try await expectMedian(on: host.status.listening)
    let end = try host.end()
    #expect(end.ended == host.status.listening)
    #expect(end.totals.connections == 2 && end.totals.calls >= 1)
    #expect(host.process.terminationReason == .exit && host.process.terminationStatus == 0)
  }

  @Test("it says who connects and leaves, and no more, at the level that it was given")
  func logs() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    for (level, isTold, isTraced) in [
      ("critical", false, false), ("info", true, false), ("trace", true, true),
    ] {
      let path = tool.path("log-\(level)")
      try Data().write(to: URL(filePath: path))
      let file = try #require(FileHandle(forWritingAtPath: path))
      let host = try Host(tool, log: (level, file))
      try await expectMedian(on: host.status.listening)
      _ = try host.end()
      let said = try String(contentsOfFile: path, encoding: .utf8)
      #expect(said.isEmpty == !isTold, "\(said)")
      #expect(said.contains("connected") == isTold && said.contains("bytes=") == isTraced)
    }
    let refused = try tool("worker", "--log-level", "loud")
    #expect(refused.status != 0 && refused.errors.contains("critical"), "\(refused.errors)")
  }

  @Test("SIGTERM in the middle of much work: what is answered is right, and it ends with 0")
  func drains() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let host = try Host(tool)
    let backend = try #require(BackendSpecification.list(host.status.listening).first)
      .backend(BackendOptions())
    let workers = WorkerConfiguration(backend: backend, count: 2, restarts: .never)
    let expected = try Median().aggregate(vectors)
    let answered = try await withActorPool(workers, registry: .byzKit) { pool in
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<4 {
          group.addTask {
            var answered = 0
            do {
              while true {
                let median = try await Median().aggregate(vectors, on: pool, chunkSize: 256)
                #expect(median == expected)
                answered += 1
              }
            } catch let error as RuntimeError {
              #expect([.workerLost, .noCapableWorker].contains(error.code), "\(error)")
            }
            return answered
          }
        }
        // In the middle: each has had many answers, and waits for the next.
        while pool.statistics.reduce(0, { $0 + $1.completed }) < 40, pool.workerCount() > 0 {
          try Task.checkCancellation()
          await Task.yield()
        }
        host.process.terminate()
        return try await group.reduce(0, +)
      }
    }
    let end = try host.end(isTerminating: true)
    #expect(answered >= 1 && end.totals.calls >= 40)
    #expect(host.process.terminationReason == .exit && host.process.terminationStatus == 0)
  }

  #if os(Linux) || os(macOS)
    @Test(
      "told to insist on the same bits, it refuses whose kernels are others, and so do its clients",
      .enabled(if: KernelVariant.avx2.isAvailable, "This processor has the plain kernels only."))
    func sameBits() async throws {
      // In a process of its own, whose kernels no other test changes.
      await #expect(processExitsWith: .success) {
        let tests = WorkerCommandTests()
        let tool = try Tool()
        defer { tool.remove() }
        for overUCX in UCX.isAvailable ? [false, true] : [false] {
          KernelVariant.plain.select()
          let plain = ["BYZKIT_KERNELS": "plain"]
          let host = try Host(tool, "--require-same-bits", overUCX: overUCX, environment: plain)
          try await tests.expectMedian(on: host.status.listening)
          KernelVariant.avx2.select()
          let error = await #expect(throws: RuntimeError.self) {
            try await tests.expectMedian(on: host.status.listening)
          }
          #expect(error.map { "\($0)".contains("avx2") } == true, "\(String(describing: error))")
          let lenient = try Host(tool, overUCX: overUCX, environment: plain)
          try await tests.expectMedian(on: lenient.status.listening)
          var strict = BackendOptions()
          strict.tcp.requiresSameBits = true
          strict.ucx.requiresSameBits = true
          let refused = await #expect(throws: RuntimeError.self) {
            try await tests.expectMedian(on: lenient.status.listening, strict)
          }
          #expect(refused?.code == .incompatiblePeer, "\(String(describing: refused))")
          KernelVariant.plain.select()
          try await tests.expectMedian(on: lenient.status.listening, strict)
        }
      }
    }
  #endif

  @Test("who does not hold its token is refused, and it goes on serving who does")
  func token() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    func options(_ text: String) throws -> BackendOptions {
      var tcp = TCPOptions(token: try Token(text.utf8))
      tcp.retry.attempts = 1
      tcp.connectTimeout = .seconds(60)
      return BackendOptions(tcp: tcp)
    }
    let host = try Host(tool, environment: ["BYZKIT_TOKEN": "the token of this test"])
    let error = await #expect(throws: RuntimeError.self) {
      try await expectMedian(on: host.status.listening, options("another token, as long"))
    }
    #expect(
      error?.code == .authenticationFailed || error?.code == .workerLost,
      "\(String(describing: error))")
    try await expectMedian(on: host.status.listening, options("the token of this test"))
    #expect(try host.end().totals.calls >= 1)
  }

  @Test("with TLS and a token from files, who has both is served, and who lacks one is not")
  func tls() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let certificates = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../ByzTCPTests/Certificates").standardized
    func certificate(_ name: String) -> String { certificates.appending(path: name).path }
    try Data("the token of this test".utf8).write(to: tool.folder.appending(path: "token"))
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o600], ofItemAtPath: tool.path("token"))
    let host = try Host(
      tool, "--token-file", "token", "--tls-certificate", certificate("server.pem"), "--tls-key",
      certificate("server.key"))
    func options(tls: Bool, token: Bool) throws -> BackendOptions {
      var tcp = TCPOptions(
        tls: tls ? TLSOptions(trustRootsFile: certificate("ca.pem")) : nil,
        token: token ? try Token("the token of this test".utf8) : nil)
      tcp.retry.attempts = 1
      tcp.connectTimeout = .seconds(60)
      return BackendOptions(tcp: tcp)
    }
    for (hasTLS, hasToken) in [(true, false), (false, true)] {
      await #expect(throws: RuntimeError.self) {
        try await expectMedian(on: host.status.listening, options(tls: hasTLS, token: hasToken))
      }
    }
    try await expectMedian(on: host.status.listening, options(tls: true, token: true))
    #expect(try host.end().totals.calls >= 1)
  }

  @Test(
    "a host over UCX whose process is killed is a lost worker soon, through shared memory too",
    .enabled(if: UCX.isAvailable, "UCX is not installed: apt-get install libucx0 libucx-dev"))
  func killedUCX() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let host = try Host(tool, "--ucx")
    let backend = try #require(BackendSpecification.list(host.status.listening).first)
      .backend(BackendOptions())
    let worker = WorkerConfiguration(backend: backend, restarts: .never)
    let liveness = Liveness(interval: .milliseconds(50), timeout: .seconds(4))
    try await withActorPool(worker, registry: .byzKit, liveness: liveness) { pool in
      let median = try await Median().aggregate(vectors, on: pool, chunkSize: 256)
      #expect(try median == Median().aggregate(vectors))
      kill(host.process.processIdentifier, SIGKILL)
      let start = ContinuousClock.now
      let error = await #expect(throws: RuntimeError.self) {
        while true { _ = try await Median().aggregate(vectors, on: pool, chunkSize: 256) }
      }
      #expect([.workerLost, .noCapableWorker].contains(error?.code))
      #expect(ContinuousClock.now - start < .seconds(20))
    }
  }

  @Test("it lets in as many of one address in a second as it is told to, over UCX too")
  func acceptRate() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    for overUCX in UCX.isAvailable ? [false, true] : [false] {
      let host = try Host(tool, "--max-accepts-per-second", "1", overUCX: overUCX)
      var options = BackendOptions()
      options.tcp.retry.attempts = 1
      let backend = try #require(BackendSpecification.list(host.status.listening).first)
        .backend(options)
      // Soon two come in one and the same second.
      var refusal: RuntimeError?
      var admitted = 0
      for _ in 0..<100 where refusal == nil || admitted == 0 {
        do {
          let worker = try await backend.makeWorker(named: "worker")
          await worker.stop()
          admitted += 1
        } catch let error as RuntimeError {
          refusal = error
        }
      }
      #expect(refusal != nil && admitted > 0)
      #expect(try host.end().totals.connections == admitted, "the host lives")
    }
  }

  @Test("it is sent no longer messages than it is told to take, and rules ask for less at a time")
  func messageLimit() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let host = try Host(tool, "--max-message", "1")
    let backend = try #require(BackendSpecification.list(host.status.listening).first)
      .backend(BackendOptions())
    let worker = WorkerConfiguration(backend: backend, restarts: .never)
    let count = 1 << 21
    // 8 MiB each, of which a part to measure would be 1.25 MiB.
    let long: [Tensor<Float>] = (0..<5).map { .normal(shape: [count], key: RandomKey($0)) }
    for rule in [Median(), MultiKrum(f: 1, q: 2)] as [any Aggregator] {
      let result = try await withActorPool(worker, registry: .byzKit) {
        try await rule.aggregate(long, on: $0, chunkSize: count)
      }
      #expect(try await result.hasSameBits(as: rule.aggregate(long)))
    }
    #expect(try host.end().totals.connections == 2)
  }

  @Test("it carries out as many calls of one connection at a time as it is told to")
  func callLimit() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let host = try Host(tool, "--max-calls", "2")
    let specification = try #require(BackendSpecification.list(host.status.listening).first)
    let backend = try #require(specification.backend(BackendOptions()) as? any LinkBackend)
    let system = ByzActorSystem(registry: .byzKit)
    let peer = try await system.connect(to: backend, named: "worker")
    // A call to connect to somebody who says nothing takes long.
    let links = Monitor<[any Link]>([])
    try await withTCPListener(
      accept: { link, _ in links.withLock { $0.append(link) } },
      body: { silent in
        let first = try await withThrowingTaskGroup(of: RuntimeError.Code?.self) { group in
          for number in UInt64(1)...3 {
            group.addTask {
              let meeting = Meeting.dial("tcp://\(silent)")
              let question = Service.join(host: number, ticket: number, meeting)
              let answer = try await peer.call(body: question.value.serialized())
              do {
                _ = try answer.result(registry: Registry(), limits: WireLimits())
                return nil
              } catch let error as RuntimeError {
                return error.code
              }
            }
          }
          let first: RuntimeError.Code? = try await group.next() ?? nil
          peer.link.close(RuntimeError(.stopped, "The test is over."))
          return first
        }
        #expect(first == .limitExceeded)
      })
    await system.stop()
  }

  @Test("it keeps a file with what it counts: when it listens, each second, and at its end")
  func metrics() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let host = try Host(tool, "--metrics-file", "metrics.json")
    func counted() throws -> [String: Int] {
      let file = URL(filePath: tool.path("metrics.json"))
      return try JSONDecoder().decode([String: Int].self, from: Data(contentsOf: file))
    }
    let names = ["connections", "connections_ended", "calls", "received_bytes", "sent_bytes"]
    #expect(try Set(counted().keys) == Set(names.map { "byzkit_worker_\($0)" }))
    #expect(try counted().values.allSatisfy { $0 == 0 })
    try await expectMedian(on: host.status.listening)
    while try counted()["byzkit_worker_connections_ended"] != 2 {
      try Task.checkCancellation()
      await Task.yield()
    }
    let totals = try host.end().totals
    let values = [
      totals.connections, totals.connections, totals.calls, totals.bytesReceived, totals.bytesSent,
    ]
    for (name, value) in zip(names, values) {
      #expect(try counted()["byzkit_worker_\(name)"] == value, "\(name)")
    }
    #expect(tool.files == ["metrics.json"])
  }

  @Test("that the file cannot be written is logged, and it goes on serving")
  func unwrittenMetrics() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let path = tool.path("log")
    try Data().write(to: URL(filePath: path))
    let file = try #require(FileHandle(forWritingAtPath: path))
    let folder = tool.path("metrics")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    let host = try Host(tool, "--metrics-file", "metrics/metrics.json", log: ("error", file))
    try FileManager.default.removeItem(atPath: folder)
    try await expectMedian(on: host.status.listening)
    #expect(try host.end().totals.connections == 2)
    #expect(host.process.terminationReason == .exit && host.process.terminationStatus == 0)
    let said = try String(contentsOfFile: path, encoding: .utf8)
    #expect(said.contains("the metrics were not written"), "\(said)")
  }

  @Test("it refuses addresses that strangers reach, bad addresses and readable token files")
  func refusals() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try Data("a token for all to see".utf8).write(to: tool.folder.appending(path: "token"))
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o644], ofItemAtPath: tool.path("token"))
    for (arguments, status, text) in [
      (["--listen", "0.0.0.0:0"], Int32(1), "can be reached from other machines"),
      (["--ucx", "--listen", "0.0.0.0:0"], 1, "is not a loopback address"),
      (["--listen", "29000"], 1, "\"29000\" is no address"),
      (["--listen", "127.0.0.1:0", "--token-file", "token"], 1, "mode 644"),
      (["--tls-certificate", "none.pem", "--tls-key", "none.pem"], 1, "none.pem cannot be used"),
      (["--tls-certificate", "none.pem"], 64, "--tls-certificate and --tls-key belong together"),
      (["--sibling-roots", "none.pem"], 64, "give --tls-certificate and --tls-key, too"),
      (["--max-accepts-per-second", "0"], 64, "must be at least 1"),
      (["--max-message", "0"], 64, "must be from 1 to 1048576 MiB"),
      (["--max-message", "1048577"], 64, "must be from 1 to 1048576 MiB"),
      (["--max-calls", "1"], 64, "must be at least 2"),
      (["--listen", "127.0.0.1:0", "--metrics-file", "none/metrics"], 1, "none/metrics"),
    ] {
      let process = try tool.process(["worker"] + arguments)
      let errors = Pipe()
      process.standardError = errors
      try process.run()
      let said = String(
        decoding: try errors.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationStatus == status && said.contains(text), "\(said)")
    }
  }

  @Test("doctor makes a round trip over every backend")
  func doctor() throws {
    struct Diagnosis: Decodable {
      struct Backend: Decodable {
        let name: String
        let works: Bool
        let problem: String?
        let subtasks: Int
        let needs: String
      }
      let backends: [Backend]
    }
    let tool = try Tool()
    defer { tool.remove() }
    let result = try tool("doctor", "--format", "json")
    let backends = try JSONDecoder().decode(Diagnosis.self, from: Data(result.output.utf8)).backends
    #expect(backends.map(\.name) == ["thread", "process", "tcp", "ucx"])
    for backend in backends {
      #expect(backend.works == (backend.problem == nil))
      // 4,097 numbers in parts of 1,024.
      #expect(backend.subtasks == (backend.works ? 5 : 0))
      // UCX may be missing, and nothing else.
      let problem = backend.problem ?? ""
      let isMissing = backend.name == "ucx" && problem.contains("UCX is not available")
      #expect(backend.works || isMissing, "\(backend.name): \(problem)")
    }
  }

  @Test(
    "a host over UCX that is stopped is lost by its silence, and lets go when it goes on",
    .enabled(if: UCX.isAvailable, "UCX is not installed: apt-get install libucx0 libucx-dev"))
  func stoppedUCX() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let path = tool.path("log")
    try Data().write(to: URL(filePath: path))
    let file = try #require(FileHandle(forWritingAtPath: path))
    let host = try Host(tool, overUCX: true, log: ("info", file))
    let backend = try #require(BackendSpecification.list(host.status.listening).first)
      .backend(BackendOptions())
    let worker = WorkerConfiguration(backend: backend, restarts: .never)
    let liveness = Liveness(interval: .milliseconds(50), timeout: .seconds(4))
    try await withActorPool(worker, registry: .byzKit, liveness: liveness) { pool in
      let median = try await Median().aggregate(vectors, on: pool, chunkSize: 256)
      #expect(try median == Median().aggregate(vectors))
      #expect(kill(host.process.processIdentifier, SIGSTOP) == 0)
      let start = ContinuousClock.now
      let error = await #expect(throws: RuntimeError.self) {
        while true { _ = try await Median().aggregate(vectors, on: pool, chunkSize: 256) }
      }
      #expect(ContinuousClock.now - start < .seconds(20))
      // UCX has nothing to report: the process is there.
      let reason = String(describing: error)
      #expect(reason.contains("workerLost: There was no sign of life"), "\(reason)")
      #expect(pool.statistics.map(\.isLost) == [true])
    }
    #expect(kill(host.process.processIdentifier, SIGCONT) == 0)
    // The end of the connection that was given up is told with its reason.
    while try !String(contentsOfFile: path, encoding: .utf8).contains("reason=") {
      try Task.checkCancellation()
      await Task.yield()
    }
    try await expectMedian(on: host.status.listening)
    let end = try host.end()
    #expect(end.ended == host.status.listening && end.totals.connections == 3)
    #expect(host.process.terminationReason == .exit && host.process.terminationStatus == 0)
  }
}
