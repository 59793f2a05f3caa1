/// Operators and the way values flow between them, without cycles.
///
/// ```swift
/// let graph = try ComputationGraph(
///   nodes: [
///     GraphNode("clipped", Clipping(threshold: 1), inputs: ["vectors": .input("gradients")]),
///     GraphNode("step", Krum(f: 2), inputs: ["vectors": .node("clipped")]),
///   ],
///   outputs: ["step"])
/// ```
///
/// A graph is checked when it is made and does not change after, so many tasks may run one at the
/// same time. Nodes that no output needs are checked too, but never run. ``GraphBuilder`` writes
/// the same with less.
public struct ComputationGraph: Sendable {
  /// All nodes, in the order they were given.
  public let nodes: [GraphNode]
  /// The nodes whose values a run returns.
  public let outputs: [String]
  /// The inputs that a run must be given: those that the outputs need, in the order their first
  /// readers run.
  public let inputs: [GraphInput]
  /// The nodes that the outputs need, each after those it reads from; where there is a choice, in
  /// the order given.
  let steps: [GraphStep]

  /// Checks and keeps the nodes.
  ///
  /// - Throws: ``GraphError``.
  /// - Complexity: O(nodes + connections) where few nodes are ready at once, O(nodes²) at worst.
  public init(nodes: [GraphNode], outputs: [String]) throws(GraphError) {
    guard !nodes.isEmpty, !outputs.isEmpty else { throw .empty }
    let positions = try Self.positions(of: nodes)
    for node in nodes { try Self.check(node, positions) }
    for output in outputs where positions[output] == nil { throw .unknownOutput(output) }

    let dependencies = nodes.map { node in
      Set(
        node.inputs.values.compactMap { source in
          if case .node(let name) = source { positions[name] } else { nil }
        })
    }
    let order = try topologicalOrder(dependencies) { cycle in .cycle(cycle.map { nodes[$0].name }) }
    let needed = Self.needed(outputs.map { positions[$0]! }, dependencies)
    self.nodes = nodes
    self.outputs = outputs
    steps = GraphStep.steps(order.filter(needed.contains), nodes, dependencies)
    inputs = Self.distinctInputs(steps.map(\.node))
  }

  /// The types of the messages that a run waits for, each once, ascending.
  public var messageTypes: [String] {
    Set(steps.flatMap { $0.received.map(\.source.type) }).sorted()
  }

  /// The names of the nodes that a run runs, in the order the sequential mode does.
  public var executionOrder: [String] { steps.map(\.node.name) }
}

// MARK: - Checks

extension ComputationGraph {
  private static func positions(of nodes: [GraphNode]) throws(GraphError) -> [String: Int] {
    var positions: [String: Int] = [:]
    for (position, node) in nodes.enumerated() {
      guard positions.updateValue(position, forKey: node.name) == nil else {
        throw .duplicateNode(node.name)
      }
    }
    return positions
  }

  private static func check(_ node: GraphNode, _ positions: [String: Int]) throws(GraphError) {
    let accepted = node.operator.inputNames
    for name in accepted where node.inputs[name] == nil {
      throw .inputNotConnected(name, node: node.name)
    }
    // Sorted, so that of several mistakes the same one is reported each time.
    for (name, source) in node.inputs.sorted(by: { $0.key < $1.key }) {
      guard accepted.contains(name) else {
        throw .unexpectedInput(name, node: node.name, accepted: accepted)
      }
      switch source {
      case .input(let input):
        if positions[input.name] != nil { throw .nameOfInputAndNode(input.name) }
      case .node(let other):
        if positions[other] == nil { throw .unknownNode(other, readBy: node.name) }
      case .message: continue
      }
    }
  }

  private static func needed(_ outputs: [Int], _ dependencies: [Set<Int>]) -> Set<Int> {
    var needed = Set(outputs)
    var open = Array(needed)
    while let node = open.popLast() {
      for dependency in dependencies[node] where needed.insert(dependency).inserted {
        open.append(dependency)
      }
    }
    return needed
  }

  /// One of each name and type, so that readers which disagree on the type are both heard.
  private static func distinctInputs(_ nodes: [GraphNode]) -> [GraphInput] {
    var seen: Set<[String]> = []
    return nodes.flatMap { node in
      node.operator.inputNames.compactMap { name in
        guard case .input(let input)? = node.inputs[name],
          seen.insert([input.name, input.typeName]).inserted
        else { return nil }
        return input
      }
    }
  }
}
