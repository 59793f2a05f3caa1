import ByzRuntime
import Testing

@Suite("ComputationGraph")
struct ComputationGraphTests {
  private func node(_ name: String, after others: String...) -> GraphNode {
    GraphNode(
      name, Step.sum(others),
      inputs: Dictionary(uniqueKeysWithValues: others.map { ($0, GraphSource.node($0)) }))
  }

  @Test("orders nodes after those they read from, and else as given")
  func order() throws {
    let graph = try ComputationGraph(
      nodes: [
        node("d", after: "b", "c"), node("z"), node("c", after: "a"), node("b", after: "a"),
        node("a"),
      ],
      outputs: ["d", "z"])
    #expect(graph.executionOrder == ["z", "a", "c", "b", "d"])
  }

  @Test("leaves out nodes and inputs that no output needs")
  func pruning() throws {
    let unneeded = GraphNode("unneeded", Step.sum(["x"]), inputs: ["x": .input("unneeded input")])
    let needed = GraphNode("needed", Step.sum(["x"]), inputs: ["x": .input("needed input")])
    let graph = try ComputationGraph(nodes: [unneeded, needed], outputs: ["needed"])
    #expect(graph.executionOrder == ["needed"])
    #expect(graph.inputs.map(\.name) == ["needed input"])
  }

  @Test("refuses to be empty")
  func empty() {
    #expect(throws: GraphError.empty) { try ComputationGraph(nodes: [], outputs: ["a"]) }
    #expect(throws: GraphError.empty) { try ComputationGraph(nodes: [node("a")], outputs: []) }
  }

  @Test("refuses one name for two nodes, or for an input and a node")
  func names() {
    #expect(throws: GraphError.duplicateNode("a")) {
      try ComputationGraph(nodes: [node("a"), node("a")], outputs: ["a"])
    }
    let reader = GraphNode("b", Step.sum(["x"]), inputs: ["x": .input("a")])
    #expect(throws: GraphError.nameOfInputAndNode("a")) {
      try ComputationGraph(nodes: [node("a"), reader], outputs: ["b"])
    }
  }

  @Test("names a node that is not there, rather than reporting a cycle")
  func unknownNode() {
    #expect(throws: GraphError.unknownNode("nobody", readBy: "a")) {
      try ComputationGraph(nodes: [node("a", after: "nobody")], outputs: ["a"])
    }
  }

  @Test("names the nodes on a cycle, and not those behind it")
  func cycle() {
    let nodes = [
      node("behind", after: "c"), node("a", after: "c"), node("b", after: "a"),
      node("c", after: "b"),
    ]
    #expect(throws: GraphError.cycle(["a", "b", "c"])) {
      try ComputationGraph(nodes: nodes, outputs: ["behind"])
    }
    #expect(throws: GraphError.cycle(["a"])) {
      try ComputationGraph(nodes: [node("a", after: "a")], outputs: ["a"])
    }
    #expect("\(GraphError.cycle(["a", "b"]))" == "These nodes wait for each other: a → b → a.")
  }

  @Test("refuses an output that is no node")
  func unknownOutput() {
    #expect(throws: GraphError.unknownOutput("b")) {
      try ComputationGraph(nodes: [node("a")], outputs: ["b"])
    }
  }

  @Test("connects exactly the inputs that operators read")
  func connections() {
    #expect(throws: GraphError.inputNotConnected("x", node: "a")) {
      try ComputationGraph(nodes: [GraphNode("a", Step.sum(["x"]), inputs: [:])], outputs: ["a"])
    }
    #expect(throws: GraphError.unexpectedInput("y", node: "a", accepted: ["x"])) {
      try ComputationGraph(
        nodes: [GraphNode("a", Step.sum(["x"]), inputs: ["x": .input("i"), "y": .input("i")])],
        outputs: ["a"])
    }
  }

  @Test("orders a chain of 10,000 nodes given backwards")
  func longChain() throws {
    let nodes = (0..<10_000).reversed().map { i in
      i == 0 ? node("0") : node("\(i)", after: "\(i - 1)")
    }
    let graph = try ComputationGraph(nodes: nodes, outputs: ["9999"])
    #expect(graph.executionOrder == (0..<10_000).map(String.init))
  }
}
