import ByzRuntime
import Testing

@Suite("OperatorContext", .timeLimit(.minutes(3)))
struct OperatorContextTests {
  @Test("runs subtasks in the calling task, one after another, without a pool")
  func inline() async throws {
    let order = Log<Int>()
    let results = try await OperatorContext().run(
      Probe.make(4) { i in
        order.append(i)
        return 10 * i
      })
    #expect(results == [0, 10, 20, 30])
    #expect(order.entries == [0, 1, 2, 3])
    #expect(OperatorContext().workerCount == 1)
  }

  @Test("stops between subtasks when the caller is cancelled, without a pool")
  func inlineCancellation() async throws {
    let order = Log<Int>()
    let task = Task {
      try await OperatorContext().run(
        Probe.make(3) { i in
          order.append(i)
          withUnsafeCurrentTask { $0?.cancel() }
          return i
        })
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(order.entries == [0])
  }

  @Test("gives the same results with and without a pool")
  func pool() async throws {
    let subtasks = Probe.make(20) { $0 * $0 }
    let alone = try await OperatorContext().run(subtasks)
    let pooled = try await withActorPool(.threads(3)) { pool in
      let context = OperatorContext(pool: pool)
      #expect(context.workerCount == 3)
      return try await context.run(subtasks)
    }
    #expect(pooled == alone)
  }

  @Test(
    "counts the workers that can do what is required, and has only the processor without a pool")
  func capabilities() async throws {
    let options = SubtaskOptions(capability: "gpu")
    try await withActorPool(.threads(3), .threads(2, capabilities: ["gpu"], name: "g")) { pool in
      #expect(OperatorContext(pool: pool, options: options).workerCount == 2)
    }
    let code = await runtimeError {
      try await OperatorContext(options: options).run(Probe.make(1) { $0 })
    }
    #expect(code == .noCapableWorker)
  }
}
