/// Writes a graph down by applying operators to values that are not there yet.
///
/// ```swift
/// let builder = GraphBuilder()
/// let gradients: GraphValue<[Tensor<Float>]> = builder.input("gradients")
/// let step = builder.apply(Krum(f: 2), to: ["vectors": gradients], as: Tensor<Float>.self)
/// let graph = try builder.build(step)
/// ```
///
/// Nothing runs here, and nothing throws until ``build(_:)``, which reports the first mistake. A
/// builder is used in one place and forgotten; the graph is what is passed on.
public final class GraphBuilder {
  private var nodes: [GraphNode] = []
  private var names: Set<String> = []
  private var mistake: GraphError?

  /// A builder of an empty graph.
  public init() {}

  /// A value that is given when the graph runs. Asking for the same name again gives the same
  /// value.
  public func input<Value: Sendable>(
    _ name: String, as type: Value.Type = Value.self
  ) -> GraphValue<Value> {
    names.insert(name)
    return GraphValue(name: name, source: .input(GraphInput(name, as: type)), builder: self)
  }

  /// The value that an operator will compute from others.
  ///
  /// - Parameters:
  ///   - operator: the operator.
  ///   - inputs: a value of this builder for each of the operator's ``Operator/inputNames``.
  ///   - type: the type of the operator's output. Who reads the value checks it.
  ///   - name: the node's name, which no other node or input may have; by default the operator's,
  ///     with a number if it is taken.
  ///   - options: where the operator's subtasks may run.
  public func apply<Value: Sendable>(
    _ operator: some Operator, to inputs: [String: any AnyGraphValue],
    as type: Value.Type = Value.self, name: String? = nil,
    options: SubtaskOptions = SubtaskOptions()
  ) -> GraphValue<Value> {
    for (_, value) in inputs.sorted(by: { $0.key < $1.key }) { check(value) }
    let name = name ?? unusedName(like: `operator`.name)
    names.insert(name)
    nodes.append(
      GraphNode(name, `operator`, inputs: inputs.mapValues(\.source), options: options))
    return GraphValue(name: name, source: .node(name), builder: self)
  }

  /// The graph of everything applied so far, with the given outputs.
  ///
  /// - Throws: ``GraphError/foreignValue(_:)`` when a value of another builder was used, else as
  ///   ``ComputationGraph/init(nodes:outputs:)``; ``GraphError/unknownOutput(_:)`` also for an
  ///   input.
  public func build(_ outputs: any AnyGraphValue...) throws(GraphError) -> ComputationGraph {
    for output in outputs { check(output) }
    if let mistake { throw mistake }
    return try ComputationGraph(nodes: nodes, outputs: outputs.map(\.name))
  }

  private func check(_ value: any AnyGraphValue) {
    if value.builder !== self, mistake == nil { mistake = .foreignValue(value.name) }
  }

  private func unusedName(like name: String) -> String {
    guard names.contains(name) else { return name }
    var number = 2
    while names.contains("\(name)-\(number)") { number += 1 }
    return "\(name)-\(number)"
  }
}

/// A value of any type that a graph will have when it runs; only ``GraphValue`` is one.
public protocol AnyGraphValue {
  /// The name of the input or node.
  var name: String { get }
  /// Where the value comes from.
  var source: GraphSource { get }
  /// The builder it belongs to.
  var builder: GraphBuilder { get }
}

/// A value that a graph will have when it runs.
///
/// Operators can be called on it where they offer that; such a call adds a node to ``builder``.
public struct GraphValue<Value: Sendable>: AnyGraphValue {
  /// The name of the input or node.
  public let name: String
  /// Where the value comes from.
  public let source: GraphSource
  /// The builder it belongs to.
  public let builder: GraphBuilder
}
