/// A value that is given to a graph each time it runs.
public struct GraphInput: Sendable, ExpressibleByStringLiteral {
  /// The name it is given under.
  public let name: String
  let typeName: String
  let accepts: @Sendable (any Sendable) -> Bool

  /// An input of one type; a run that gives another is refused before any node runs.
  public init<Value: Sendable>(_ name: String, as type: Value.Type) {
    self.name = name
    typeName = "\(type)"
    accepts = { $0 is Value }
  }

  /// An input of any type; the operators that read it check.
  public init(stringLiteral name: String) { self.init(name, as: (any Sendable).self) }
}

/// Where a node gets one of its inputs from.
public enum GraphSource: Sendable {
  /// An input of the graph.
  case input(GraphInput)
  /// The output of the node with this name.
  case node(String)
  /// The next message of a type, from the inbox that the run is given.
  case message(MessageSource)
}

/// One step of a graph: an operator, and where its inputs come from.
public struct GraphNode: Sendable {
  /// The name, unique in the graph.
  public let name: String
  /// What it does.
  public let `operator`: any Operator
  /// Where each of the operator's inputs comes from.
  public let inputs: [String: GraphSource]
  /// Where its subtasks may run.
  public let options: SubtaskOptions

  /// A step named `name`.
  public init(
    _ name: String, _ operator: any Operator, inputs: [String: GraphSource],
    options: SubtaskOptions = SubtaskOptions()
  ) {
    self.name = name
    self.operator = `operator`
    self.inputs = inputs
    self.options = options
  }
}
