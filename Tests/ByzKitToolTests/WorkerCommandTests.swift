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
  @Test("it says where it listens, serves pools, and ends with 0 on SIGTERM")
  func serves() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let host = try WorkerProgram(tool, environment: ["BYZKIT_KERNELS": "plain"])
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
      let host = try WorkerProgram(tool, log: (level, file))
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
    let host = try WorkerProgram(tool)
    let backend = try host.backend()
    let workers = WorkerConfiguration(backend: backend, count: 2, restarts: .never)
    let expected = try Median().aggregate(workerVectors)
    let answered = try await withActorPool(workers, registry: .byzKit) { pool in
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<4 {
          group.addTask {
            var answered = 0
            do {
              while true {
                let median = try await Median().aggregate(workerVectors, on: pool, chunkSize: 256)
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
        let tool = try Tool()
        defer { tool.remove() }
        for overUCX in UCX.isAvailable ? [false, true] : [false] {
          KernelVariant.plain.select()
          let plain = ["BYZKIT_KERNELS": "plain"]
          let host = try WorkerProgram(
            tool, "--require-same-bits", overUCX: overUCX, environment: plain)
          try await expectMedian(on: host.status.listening)
          KernelVariant.avx2.select()
          let error = await #expect(throws: RuntimeError.self) {
            try await expectMedian(on: host.status.listening)
          }
          #expect(error.map { "\($0)".contains("avx2") } == true, "\(String(describing: error))")
          let lenient = try WorkerProgram(tool, overUCX: overUCX, environment: plain)
          try await expectMedian(on: lenient.status.listening)
          var strict = BackendOptions()
          strict.tcp.requiresSameBits = true
          strict.ucx.requiresSameBits = true
          let refused = await #expect(throws: RuntimeError.self) {
            try await expectMedian(on: lenient.status.listening, strict)
          }
          #expect(refused?.code == .incompatiblePeer, "\(String(describing: refused))")
          KernelVariant.plain.select()
          try await expectMedian(on: lenient.status.listening, strict)
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
    let host = try WorkerProgram(tool, environment: ["BYZKIT_TOKEN": "the token of this test"])
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
    let host = try WorkerProgram(
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
      (["--max-rate", "0"], 64, "must be from 1 to 1048576 MiB"),
      (["--max-messages-per-second", "999"], 64, "must be at least 1000"),
      (["--ucx", "--max-rate", "1"], 64, "UCX takes what comes"),
      (["--ucx", "--max-messages-per-second", "1000"], 64, "UCX takes what comes"),
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
}
