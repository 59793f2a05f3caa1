import ByzRuntime
import Testing

@Suite("Where a call begins", .timeLimit(.minutes(3)))
struct ServingThreadTests {
  private let system = ByzActorSystem(registry: Registry(actors: [Calculator.self]))

  private func executor(_ host: WorkerHost, _ body: [UInt8]) -> (any TaskExecutor)? {
    host.executor(for: Message(.call, body: body))
  }

  private func invocation(of actor: UInt64) -> [UInt8] {
    WireValue.array([
      .unsigned(2), .unsigned(actor), .string("method"), .array([]), .array([]),
    ]).serialized()
  }

  @Test("A call of an actor begins on the actor's thread, whatever its number")
  func invocations() async throws {
    let actor = try await system.spawn(Calculator.self, "calc", on: .thread)
    let host = WorkerHost(system: system)
    #expect(executor(host, invocation(of: actor.id.number)) is ThreadExecutor)
    #expect(executor(host, invocation(of: actor.id.number ^ 1)) == nil)
    for number: UInt64 in [0, 127, 128, .max] {
      #expect(executor(host, invocation(of: number)) == nil)
    }
  }

  @Test("A subtask begins on the thread of subtasks, where there is one for the other side")
  func subtasks() {
    let body = WireValue.array([.unsigned(3), .null]).serialized()
    #expect(executor(WorkerHost(system: system, isWorker: true), body) is ThreadExecutor)
    #expect(executor(WorkerHost(system: system), body) == nil)
  }

  @Test("A body that is cut off, or of something else, begins on Swift's threads")
  func others() async throws {
    let actor = try await system.spawn(Calculator.self, "calc", on: .thread)
    let host = WorkerHost(system: system, isWorker: true)
    let body = invocation(of: actor.id.number)
    // The number ends where the text of the method begins: tag, length, "method", two arrays.
    let end = body.count - 12
    for count in 0..<end {
      #expect(executor(host, Array(body[..<count])) == nil, "\(count) bytes")
    }
    #expect(executor(host, Array(body[..<end])) is ThreadExecutor)
    #expect(executor(host, [9, 5, 4, 2, 4] + [UInt8](repeating: 255, count: 20)) == nil)
    #expect(executor(host, WireValue.array([.unsigned(4), .null]).serialized()) == nil)
  }
}

@Suite("Methods found to be an actor's")
struct CheckedTargetsTests {
  private var target: DistributedTarget {
    get throws {
      let add = "$s15ByzRuntimeTests10CalculatorC3addyS2d_SdtYaKFTE"
      return try #require(DistributedTarget(add, of: "ByzRuntimeTests.Calculator"))
    }
  }

  @Test("A name counts for the type it was found for only")
  func types() throws {
    var targets = CheckedTargets()
    targets["add", Calculator.self] = try target
    #expect(try targets["add", Calculator.self] == target)
    #expect(targets["add", Int.self] == nil)
    #expect(targets["sub", Calculator.self] == nil)
  }

  @Test("Made-up names without end take no memory without end")
  func bounded() throws {
    var targets = CheckedTargets()
    for number in 0..<5000 { targets["\(number)", Calculator.self] = try target }
    #expect((0..<5000).count { targets["\($0)", Calculator.self] != nil } <= 1024)
    #expect(targets["4999", Calculator.self] != nil)
  }
}
