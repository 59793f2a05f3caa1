import ByzRuntime
import ByzRuntimeTestSupport
import Testing

private struct Update: Sendable {
  let value: Int
  let sender: String
}

@Suite("Graphs that wait for messages", .timeLimit(.minutes(3)))
struct MessageGraphTests {
  private static let modes: [GraphScheduler.Mode] = [
    .sequential, .dataflow(), .dataflow(maxConcurrentNodes: 1),
  ]

  private func sum(_ name: String, _ sources: [String: GraphSource]) -> GraphNode {
    GraphNode(name, Step.sum(sources.keys.sorted()), inputs: sources)
  }

  @Test(
    "a node gets the message itself, or the field it asks for, never the source", arguments: modes)
  func values(mode: GraphScheduler.Mode) async throws {
    let graph = try ComputationGraph(
      nodes: [
        sum(
          "sum",
          [
            "a": .message(MessageSource("number", as: Int.self)),
            "b": .message(MessageSource("update", \Update.value)),
            "c": .input("c"),
          ])
      ], outputs: ["sum"])
    #expect(graph.messageTypes == ["number", "update"])
    let inbox = MessageInbox()
    async let outputs = GraphScheduler(mode: mode).run(graph, ["c": 100], messages: inbox)
    try await inbox.deliver(Update(value: 20, sender: "n"), type: "update")
    try await inbox.deliver(3, type: "number")
    #expect(try await outputs.value(of: "sum") == 123)
  }

  @Test("each message reaches one node: two that wait for a type take two", arguments: modes)
  func exactlyOnce(mode: GraphScheduler.Mode) async throws {
    let source = GraphSource.message(MessageSource("x", as: Int.self))
    let graph = try ComputationGraph(
      nodes: [sum("a", ["x": source]), sum("b", ["x": source])], outputs: ["a", "b"])
    let inbox = MessageInbox()
    for message in [1, 2, 3] { try await inbox.deliver(message, type: "x") }
    let outputs = try await GraphScheduler(mode: mode).run(graph, [:], messages: inbox)
    #expect(Set([try outputs.value(of: "a"), try outputs.value(of: "b")]) == [1, 2])
    #expect(inbox.count(of: "x") == 1)
    #expect(try await inbox.receive("x") as? Int == 3, "and never a second time")
  }

  @Test("a trigger gives one message to all that read it", arguments: modes)
  func trigger(mode: GraphScheduler.Mode) async throws {
    let builder = GraphBuilder()
    let start = builder.message("start", as: Int.self)
    let left = builder.apply(Step.sum(["x"]), to: ["x": start], as: Int.self)
    let both = builder.apply(Step.sum(["x", "y"]), to: ["x": start, "y": left], as: Int.self)
    let graph = try builder.build(both, start)
    let inbox = MessageInbox()
    for message in [7, 8] { try await inbox.deliver(message, type: "start") }
    let outputs = try await GraphScheduler(mode: mode).run(graph, [:], messages: inbox)
    #expect(try outputs.value(of: both) == 14)
    #expect(try outputs.value(of: start) == 7)
    #expect(inbox.count(of: "start") == 1)

    let alone = try ComputationGraph(
      nodes: [GraphNode("go", waitingFor: MessageSource("start", as: Int.self))], outputs: ["go"])
    let go = try await GraphScheduler(mode: mode).run(alone, [:], messages: inbox)
    #expect(try go.value(of: "go") == 8)
  }

  @Test("a node that waits holds up no other, not even where one may run at a time")
  func waitingIsNotRunning() async throws {
    let inbox = MessageInbox()
    let graph = try ComputationGraph(
      nodes: [
        sum("first", ["x": .message(MessageSource("x", as: Int.self))]),
        GraphNode(
          "second",
          Step { _, _ in
            try await inbox.deliver(5, type: "x")
            return 0
          }, inputs: [:]),
      ], outputs: ["first", "second"])
    let outputs = try await GraphScheduler(mode: .dataflow(maxConcurrentNodes: 1))
      .run(graph, [:], messages: inbox)
    #expect(try outputs.value(of: "first") == 5)
  }

  @Test("a run without an inbox is refused before any node runs, with the types it needs")
  func noInbox() async throws {
    let runs = Log<Int>()
    let graph = try ComputationGraph(
      nodes: [
        GraphNode(
          "a",
          Step { _, _ in
            runs.append(1)
            return 1
          }, inputs: [:]),
        sum("b", ["x": .message(MessageSource("x", as: Int.self)), "y": .node("a")]),
      ], outputs: ["b"])
    await #expect(throws: GraphError.noInbox(["x"])) { try await GraphScheduler().run(graph, [:]) }
    #expect(runs.entries.isEmpty)
  }

  @Test("a message of another type ends the run, with both types", arguments: modes)
  func wrongType(mode: GraphScheduler.Mode) async throws {
    let graph = try ComputationGraph(
      nodes: [sum("a", ["x": .message(MessageSource("x", \Update.value))])], outputs: ["a"])
    let inbox = MessageInbox()
    _ = inbox.offer("text", type: "x")
    await #expect(
      throws: GraphError.wrongType(of: "message x", expected: "Update", actual: "String")
    ) {
      try await GraphScheduler(mode: mode).run(graph, [:], messages: inbox)
    }
  }

  @Test("a message that does not come in time ends the run", arguments: modes)
  func timeout(mode: GraphScheduler.Mode) async throws {
    let clock = ManualClock()
    let inbox = MessageInbox(capacity: 1, clock: RuntimeClock(clock))
    let source = MessageSource("x", as: Int.self, timeout: .seconds(2))
    let graph = try ComputationGraph(nodes: [sum("a", ["x": .message(source)])], outputs: ["a"])
    let run = Task { try await GraphScheduler(mode: mode).run(graph, [:], messages: inbox) }
    await clock.sleepers(1)
    clock.advance(by: .seconds(2))
    #expect(await runtimeError { try await run.value } == .deadlineExceeded)
  }

  @Test("a run that is cancelled while it waits takes no message with it", arguments: modes)
  func cancellation(mode: GraphScheduler.Mode) async throws {
    let inbox = MessageInbox()
    let graph = try ComputationGraph(
      nodes: [sum("a", ["x": .message(MessageSource("x", as: Int.self))])], outputs: ["a"])
    let scheduler = GraphScheduler(mode: mode)
    let first = Task { try await scheduler.run(graph, [:], messages: inbox) }
    while inbox.waitingCount == 0 { await Task.yield() }
    first.cancel()
    await #expect(throws: CancellationError.self) { try await first.value }
    #expect(inbox.waitingCount == 0)
    _ = inbox.offer(4, type: "x")
    let outputs = try await scheduler.run(graph, [:], messages: inbox)
    #expect(try outputs.value(of: "a") == 4)
  }

  @Test(
    "a node that waits in vain for one message gives the others back, in their order",
    arguments: modes)
  func givenBack(mode: GraphScheduler.Mode) async throws {
    let clock = ManualClock()
    let inbox = MessageInbox(capacity: 2, clock: RuntimeClock(clock))
    let source = GraphSource.message(MessageSource("x", as: Int.self))
    let last = GraphSource.message(MessageSource("y", as: Int.self, timeout: .seconds(2)))
    let graph = try ComputationGraph(
      nodes: [sum("a", ["1": source, "2": source, "3": last])], outputs: ["a"])
    let scheduler = GraphScheduler(mode: mode)
    for message in [1, 2] { #expect(inbox.offer(message, type: "x")) }
    let run = Task { try await scheduler.run(graph, [:], messages: inbox) }
    await clock.sleepers(1)
    // Beyond the capacity once the two are back.
    #expect(inbox.count(of: "x") == 0 && inbox.offer(30, type: "x"))
    clock.advance(by: .seconds(2))
    #expect(await runtimeError { try await run.value } == .deadlineExceeded)
    #expect(inbox.count(of: "x") == 3)
    #expect(inbox.offer(40, type: "y"))
    #expect(try await scheduler.run(graph, [:], messages: inbox).value(of: "a") == 43)
    #expect(try await inbox.receive("x") as? Int == 30)
  }

  @Test("messages come back to their places, whoever had them, and first to who waits")
  func places() async throws {
    let clock = ManualClock()
    let inbox = MessageInbox(capacity: 2, clock: RuntimeClock(clock))
    let x = GraphSource.message(MessageSource("x", as: Int.self))
    func run(until limit: Duration) throws -> Task<GraphOutputs, any Error> {
      let y = GraphSource.message(MessageSource("y", as: Int.self, timeout: limit))
      let graph = try ComputationGraph(
        nodes: [sum("a", ["1": x, "2": x, "3": y])], outputs: ["a"])
      return Task { try await GraphScheduler().run(graph, [:], messages: inbox) }
    }
    // The second has 3 and 4, the first 1 and 2; 5 and 6 stay.
    for message in [1, 2] { #expect(inbox.offer(message, type: "x")) }
    let first = try run(until: .seconds(1))
    await clock.sleepers(1)
    for message in [3, 4] { #expect(inbox.offer(message, type: "x")) }
    let second = try run(until: .seconds(2))
    await clock.sleepers(2)
    for message in [5, 6] { #expect(inbox.offer(message, type: "x")) }
    clock.advance(by: .seconds(1))
    #expect(await runtimeError { try await first.value } == .deadlineExceeded)
    clock.advance(by: .seconds(1))
    #expect(await runtimeError { try await second.value } == .deadlineExceeded)
    // More than the capacity are there: nobody is let in before there is room.
    let sender = Task { try await inbox.deliver(7, type: "x") }
    while inbox.waitingCount == 0 { await Task.yield() }
    for message in 1...4 {
      #expect(try await inbox.receive("x") as? Int == message)
      #expect(inbox.waitingCount == 1)
    }
    for message in 5...7 { #expect(try await inbox.receive("x") as? Int == message) }
    try await sender.value
  }

  @Test("a run that fails gives back what nodes that have not begun had received")
  func failure() async throws {
    struct Broken: Error {}
    let inbox = MessageInbox()
    #expect(inbox.offer(5, type: "x"))
    // One at a time: the node has its message, and waits for its turn.
    let broken = GraphNode(
      "broken",
      Step("broken") { _, _ in
        while inbox.count(of: "x") > 0 { await Task.yield() }
        throw Broken()
      }, inputs: [:])
    let graph = try ComputationGraph(
      nodes: [broken, sum("a", ["x": .message(MessageSource("x", as: Int.self))])],
      outputs: ["broken", "a"])
    await #expect(throws: Broken.self) {
      try await GraphScheduler(mode: .dataflow(maxConcurrentNodes: 1)).run(
        graph, [:], messages: inbox)
    }
    #expect(inbox.count(of: "x") == 1)
  }

  @Test("messages that nobody waits for stay within the inbox's bound")
  func bounded() {
    let inbox = MessageInbox(capacity: 8)
    let taken = (0..<1000).count { inbox.offer($0, type: "x") }
    #expect(taken == 8 && inbox.count(of: "x") == 8)
  }

  @Test("one graph run again with other inputs computes anew")
  func nothingIsStale() async throws {
    let graph = try ComputationGraph(nodes: [sum("y", ["x": .input("x")])], outputs: ["y"])
    let scheduler = GraphScheduler()
    for x in [1, 100] {
      #expect(try await scheduler.run(graph, ["x": x]).value(of: "y") == x)
    }
  }
}
