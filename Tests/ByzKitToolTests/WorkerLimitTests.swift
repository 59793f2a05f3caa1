import ByzKit
import ByzLaunch
import ByzRuntime
import ByzTCP
import ByzUCX
import Testing

@Suite("Limits of byzkit worker", .timeLimit(.minutes(2)))
struct WorkerLimitTests {
  @Test("it lets in as many of one address in a second as it is told to, over UCX too")
  func acceptRate() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    for overUCX in UCX.isAvailable ? [false, true] : [false] {
      let host = try WorkerProgram(tool, "--max-accepts-per-second", "1", overUCX: overUCX)
      var options = BackendOptions()
      options.tcp.retry.attempts = 1
      let backend = try host.backend(options)
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
    let host = try WorkerProgram(tool, "--max-message", "1")
    let backend = try host.backend()
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
    let host = try WorkerProgram(tool, "--max-calls", "2")
    let backend = try #require(host.backend() as? any LinkBackend)
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

  @Test("it takes as many messages and bytes of one connection in a second as it is told to")
  func rates() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    for (flag, limit, byteCount) in [
      ("--max-messages-per-second", 1000, 1), ("--max-rate", 10, 1 << 20),
    ] {
      let host = try WorkerProgram(tool, flag, "\(limit)")
      let backend = try #require(host.backend() as? any LinkBackend)
      let system = ByzActorSystem(registry: .byzKit)
      let peer = try await system.connect(to: backend, named: "worker")
      let mailbox = MailboxAddress(host: try #require(peer.hello).host, name: "none")
      let start = ContinuousClock.now
      // What may come in a second at once, and twice as much in two.
      for _ in 0..<3 * limit {
        let error = await #expect(throws: RuntimeError.self) {
          try await system.send([UInt8](repeating: 1, count: byteCount), to: mailbox)
        }
        #expect(error?.code == .unknownTarget)
      }
      #expect(ContinuousClock.now - start > .seconds(1.5), "\(flag)")
      await system.stop()
      #expect(try host.end().totals.calls == 3 * limit)
    }
  }
}
