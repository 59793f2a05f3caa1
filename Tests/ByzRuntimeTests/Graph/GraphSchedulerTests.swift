import ByzRuntime
import Testing

@Suite("GraphScheduler", .timeLimit(.minutes(3)))
struct GraphSchedulerTests {
  private static let modes: [GraphScheduler.Mode] = [
    .sequential, .dataflow(), .dataflow(maxConcurrentNodes: 2),
  ]

  @Test("runs a node that two others read once", arguments: modes)
  func diamond(mode: GraphScheduler.Mode) async throws {
    let runs = Log<String>()
    let builder = GraphBuilder()
    let x = builder.input("x", as: Int.self)
    let shared = builder.apply(
      Step("shared", ["x"]) { inputs, _ in
        runs.append("shared")
        return try inputs.value("x", as: Int.self) + 1
      }, to: ["x": x], as: Int.self)
    let left = builder.apply(Step.sum(["a", "b"]), to: ["a": shared, "b": x], as: Int.self)
    let right = builder.apply(Step.sum(["a", "b"]), to: ["a": shared, "b": shared], as: Int.self)
    let joined = builder.apply(Step.sum(["a", "b"]), to: ["a": left, "b": right], as: Int.self)
    let graph = try builder.build(joined, shared)
    let outputs = try await GraphScheduler(mode: mode).run(graph, ["x": 10])
    #expect(try outputs.value(of: joined) == 43)
    #expect(try outputs.value(of: shared) == 11)
    #expect(runs.entries == ["shared"])
  }

  @Test("runs two nodes at the same time when neither reads from the other")
  func overlap() async throws {
    let (first, second) = (Signal(), Signal())
    func meeting(_ mine: Signal, _ others: Signal) -> Step {
      Step { _, _ in
        mine.send()
        await others.wait()
        return 1
      }
    }
    let builder = GraphBuilder()
    let a = builder.apply(meeting(first, second), to: [:], as: Int.self)
    let b = builder.apply(meeting(second, first), to: [:], as: Int.self)
    let outputs = try await GraphScheduler().run(try builder.build(a, b), [:])
    #expect(try outputs.value(of: a) + outputs.value(of: b) == 2)
  }

  @Test("starts a node while an earlier one that it does not read still runs")
  func noWaves() async throws {
    let done = Signal()
    let builder = GraphBuilder()
    let patient = builder.apply(
      Step("patient") { _, _ in
        await done.wait()
        return 0
      }, to: [:], as: Int.self)
    let quick = builder.apply(Step.sum([]), to: [:], as: Int.self)
    let next = builder.apply(
      Step("next", ["x"]) { _, _ in
        done.send()
        return 0
      }, to: ["x": quick], as: Int.self)
    _ = try await GraphScheduler().run(try builder.build(patient, next), [:])
  }

  @Test("runs one node at a time in order when sequential, and never more than its bound else")
  func bounds() async throws {
    let order = Log<Int>()
    let occupancy = Occupancy()
    let nodes = (0..<8).map { i in
      GraphNode(
        "\(i)",
        Step { _, _ in
          occupancy.inside { order.append(i) }
          return i
        }, inputs: [:])
    }
    let graph = try ComputationGraph(nodes: nodes, outputs: nodes.map(\.name))
    _ = try await GraphScheduler(mode: .sequential).run(graph, [:])
    #expect(order.entries == Array(0..<8))
    #expect(occupancy.most == 1)
    _ = try await GraphScheduler(mode: .dataflow(maxConcurrentNodes: 2)).run(graph, [:])
    #expect(occupancy.most <= 2)
  }

  @Test("rethrows the first error, after it has cancelled and awaited the other nodes")
  func errors() async throws {
    let started = Signal()
    let ended = Log<String>()
    let builder = GraphBuilder()
    let failing = builder.apply(
      Step("failing") { _, _ in
        await started.wait()
        throw Failure(number: 7)
      }, to: [:], as: Int.self)
    let waiting = builder.apply(
      Step("waiting") { _, _ in
        started.send()
        // Ends when the task is cancelled, and only then.
        for await _ in AsyncStream<Void>.makeStream().stream {}
        ended.append(Task.isCancelled ? "cancelled" : "not cancelled")
        return 0
      }, to: [:], as: Int.self)
    let after = builder.apply(
      Step("after", ["x"]) { _, _ in
        ended.append("after")
        return 0
      }, to: ["x": waiting], as: Int.self)
    let graph = try builder.build(failing, after)
    await #expect(throws: Failure(number: 7)) { try await GraphScheduler().run(graph, [:]) }
    #expect(ended.entries == ["cancelled"])
  }

  @Test(
    "ends with CancellationError when the caller is cancelled, and starts no further node",
    arguments: modes)
  func cancellation(mode: GraphScheduler.Mode) async throws {
    let started = Signal()
    let later = Log<Int>()
    let builder = GraphBuilder()
    let waiting = builder.apply(
      Step("waiting") { _, _ in
        started.send()
        for await _ in AsyncStream<Void>.makeStream().stream {}
        return 0
      }, to: [:], as: Int.self)
    let next = builder.apply(
      Step("next", ["x"]) { _, _ in
        later.append(1)
        return 0
      }, to: ["x": waiting], as: Int.self)
    let graph = try builder.build(next)
    let task = Task { try await GraphScheduler(mode: mode).run(graph, [:]) }
    await started.wait()
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(later.entries.isEmpty)
  }

  @Test("lists every missing input, and checks types before anything runs")
  func inputs() async throws {
    let runs = Log<Int>()
    let builder = GraphBuilder()
    let arguments = ["a", "b", "c"].map { builder.input($0, as: Int.self) }
    let y = builder.apply(
      Step("y", ["x", "y", "z"]) { _, _ in
        runs.append(1)
        return 0
      }, to: ["x": arguments[0], "y": arguments[1], "z": arguments[2]], as: Int.self)
    let graph = try builder.build(y)
    await #expect(throws: GraphError.missingInputs(["a", "c"])) {
      try await GraphScheduler().run(graph, ["b": 1])
    }
    await #expect(throws: GraphError.wrongType(of: "b", expected: "Int", actual: "String")) {
      try await GraphScheduler().run(graph, ["a": 1, "b": "1", "c": 1])
    }
    #expect(runs.entries.isEmpty)
  }

  @Test("tells a wrong output name or type from a right one")
  func outputs() async throws {
    let graph = try ComputationGraph(
      nodes: [GraphNode("one", Step { _, _ in 1 }, inputs: [:])], outputs: ["one"])
    let outputs = try await GraphScheduler().run(graph, [:])
    #expect(try outputs.value(of: "one", as: Int.self) == 1)
    #expect(throws: GraphError.unknownOutput("two")) {
      try outputs.value(of: "two", as: Int.self)
    }
    #expect(throws: GraphError.wrongType(of: "one", expected: "String", actual: "Int")) {
      try outputs.value(of: "one", as: String.self)
    }
  }

  @Test("lets go of a value when its last reader has run", arguments: modes)
  func release(mode: GraphScheduler.Mode) async throws {
    final class Large: Sendable {}
    final class Watch: Sendable {
      private let large = Monitor<WeakBox>(WeakBox())
      struct WeakBox { weak var object: Large? }
      var isAlive: Bool { large.withLock { $0.object != nil } }
      func look(at object: Large) { large.withLock { $0.object = object } }
    }
    let watch = Watch()
    let builder = GraphBuilder()
    let large = builder.apply(
      Step("large") { _, _ in
        let large = Large()
        watch.look(at: large)
        return large
      }, to: [:], as: Large.self)
    let reader = builder.apply(
      Step("reader", ["x"]) { _, _ in watch.isAlive }, to: ["x": large], as: Bool.self)
    let after = builder.apply(
      Step("after", ["x"]) { _, _ in watch.isAlive }, to: ["x": reader], as: Bool.self)
    let outputs = try await GraphScheduler(mode: mode).run(try builder.build(reader, after), [:])
    #expect(try outputs.value(of: reader))
    #expect(try !outputs.value(of: after))
  }

  @Test("runs one graph on one pool for 100 callers at once, each with its own values")
  func concurrentRuns() async throws {
    let builder = GraphBuilder()
    let x = builder.input("x", as: Int.self)
    let squares = builder.apply(
      Step("squares", ["x"]) { inputs, context in
        let x: Int = try inputs.value("x")
        return try await context.run(Probe.make(5) { x * $0 })
      }, to: ["x": x], as: [Int].self)
    let total = builder.apply(
      Step("total", ["x"]) { inputs, _ in try inputs.value("x", as: [Int].self).reduce(0, +) },
      to: ["x": squares], as: Int.self)
    let graph = try builder.build(total)
    let totals = try await withActorPool(.threads(3)) { pool in
      let scheduler = GraphScheduler(pool: pool)
      return try await withThrowingTaskGroup(of: (Int, Int).self) { group in
        for caller in 0..<100 {
          group.addTask {
            (caller, try await scheduler.run(graph, ["x": caller]).value(of: "total", as: Int.self))
          }
        }
        return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
      }
    }
    #expect(totals == Dictionary(uniqueKeysWithValues: (0..<100).map { ($0, 10 * $0) }))
  }
}
