/// A node that a run needs, in terms of positions in the execution order.
package struct GraphStep: Sendable {
  package let node: GraphNode
  /// The steps whose values it reads.
  package let dependencies: Set<Int>
  /// Those of its arguments that steps give, with their positions.
  package let arguments: [(name: String, step: Int)]
  /// Those of its arguments that the run is given, with the inputs' names.
  package let given: [(name: String, input: String)]
  /// Those of its arguments that are messages, in the order of the operator's inputs.
  package let received: [(name: String, source: MessageSource)]

  /// The chosen nodes as steps, in the order given.
  package static func steps(_ order: [Int], _ nodes: [GraphNode], _ dependencies: [Set<Int>])
    -> [GraphStep]
  {
    let positions = Dictionary(uniqueKeysWithValues: order.enumerated().map { ($1, $0) })
    let names = Dictionary(uniqueKeysWithValues: order.enumerated().map { (nodes[$1].name, $0) })
    return order.map { index in
      let node = nodes[index]
      var arguments: [(name: String, step: Int)] = []
      var given: [(name: String, input: String)] = []
      for (name, source) in node.inputs {
        switch source {
        case .input(let input): given.append((name, input.name))
        case .node(let other): arguments.append((name, names[other]!))
        case .message: continue
        }
      }
      let received = node.operator.inputNames.compactMap { name in
        if case .message(let source)? = node.inputs[name] { (name, source) } else { nil }
      }
      return GraphStep(
        node: node, dependencies: Set(dependencies[index].map { positions[$0]! }),
        arguments: arguments, given: given, received: received)
    }
  }
}
