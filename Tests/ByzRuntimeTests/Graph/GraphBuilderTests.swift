import ByzRuntime
import Testing

/// An operator that can be called on a value, as rules offer it.
private struct Doubling: Operator {
  let inputNames = ["x"]

  func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws -> any Sendable {
    try 2 * inputs.value("x", as: Int.self)
  }

  func callAsFunction(_ x: GraphValue<Int>) -> GraphValue<Int> {
    x.builder.apply(self, to: ["x": x])
  }
}

@Suite("GraphBuilder")
struct GraphBuilderTests {
  @Test("builds what calls on values say, and runs nothing before")
  func calls() async throws {
    let builder = GraphBuilder()
    let x: GraphValue<Int> = builder.input("x")
    let double = Doubling()
    let y = double(double(x))
    let graph = try builder.build(y)
    let outputs = try await GraphScheduler().run(graph, ["x": 5])
    #expect(try outputs.value(of: y) == 20)
    #expect(graph.executionOrder == ["Doubling", "Doubling-2"])
  }

  @Test("mixes value types and inputs in one node")
  func mixedTypes() async throws {
    let builder = GraphBuilder()
    let number = builder.input("number", as: Int.self)
    let text = builder.input("text", as: String.self)
    let repeated = builder.apply(
      Step("repeat", ["text", "count"]) { inputs, _ in
        let text: String = try inputs.value("text")
        return try String(repeating: text, count: inputs.value("count"))
      }, to: ["text": text, "count": Doubling()(number)], as: String.self)
    let graph = try builder.build(repeated)
    let outputs = try await GraphScheduler().run(graph, ["number": 2, "text": "ab"])
    #expect(try outputs.value(of: repeated) == "abababab")
  }

  @Test("gives nodes unique names, also beside inputs of the same name")
  func uniqueNames() throws {
    let builder = GraphBuilder()
    let input = builder.input("sum", as: Int.self)
    let first = builder.apply(Step.sum(["x"]), to: ["x": input], as: Int.self)
    let second = builder.apply(Step.sum(["x"]), to: ["x": first], as: Int.self)
    #expect([first.name, second.name] == ["sum-2", "sum-3"])
    #expect(try builder.build(second).executionOrder == ["sum-2", "sum-3"])
  }

  @Test("refuses an explicit name that is taken")
  func duplicateName() {
    let builder = GraphBuilder()
    let first = builder.apply(Step.sum([]), to: [:], as: Int.self, name: "a")
    _ = builder.apply(Step.sum([]), to: [:], as: Int.self, name: "a")
    #expect(throws: GraphError.duplicateNode("a")) { try builder.build(first) }
  }

  @Test("refuses a value of another builder, as an argument and as an output")
  func foreignValue() {
    let builder = GraphBuilder()
    let other = GraphBuilder().input("x", as: Int.self)
    #expect(throws: GraphError.foreignValue("x")) { try GraphBuilder().build(other) }
    let mixed = builder.apply(Doubling(), to: ["x": other], as: Int.self)
    #expect(throws: GraphError.foreignValue("x")) { try builder.build(mixed) }
  }

  @Test("refuses an input as an output")
  func inputAsOutput() {
    let builder = GraphBuilder()
    let x = builder.input("x", as: Int.self)
    _ = Doubling()(x)
    #expect(throws: GraphError.unknownOutput("x")) { try builder.build(x) }
  }
}
