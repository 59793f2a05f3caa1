/// Why a graph could not be built or run.
public enum GraphError: Error, Hashable, Sendable {
  /// There is no node, or no output was asked for.
  case empty
  /// Two nodes have this name.
  case duplicateNode(String)
  /// An input and a node have this name.
  case nameOfInputAndNode(String)
  /// `node` reads from a node that is not there.
  case unknownNode(String, readBy: String)
  /// Each of these nodes needs the one before it, and the first needs the last.
  case cycle([String])
  /// An output names no node.
  case unknownOutput(String)
  /// The operator of `node` reads `input`, which is connected to nothing.
  case inputNotConnected(String, node: String)
  /// `node` connects `input`, which its operator does not read; `accepted` are those it does.
  case unexpectedInput(String, node: String, accepted: [String])
  /// A value belongs to another builder than the one it was given to.
  case foreignValue(String)
  /// These inputs were given no value.
  case missingInputs([String])
  /// Nodes wait for messages of these types, and the run was given no inbox.
  case noInbox([String])
  /// A value is of another type than its reader asks for.
  case wrongType(of: String, expected: String, actual: String)
}

extension GraphError: CustomStringConvertible {
  /// What is wrong, with the names to change.
  public var description: String {
    switch self {
    case .empty: "A graph needs at least one node and one output."
    case .duplicateNode(let name): "Two nodes are named \(name)."
    case .nameOfInputAndNode(let name): "\(name) names both an input and a node."
    case .unknownNode(let name, let reader): "Node \(reader) reads from \(name), which is no node."
    case .cycle(let names):
      "These nodes wait for each other: \((names + names.prefix(1)).joined(separator: " → "))."
    case .unknownOutput(let name): "Output \(name) is no node, or none whose value was kept."
    case .inputNotConnected(let input, let node): "Node \(node) lacks its input \(input)."
    case .unexpectedInput(let input, let node, let accepted):
      "Node \(node) has no input \(input); it reads \(accepted.joined(separator: ", "))."
    case .foreignValue(let name): "The value \(name) belongs to another builder."
    case .missingInputs(let names): "No value for \(names.joined(separator: ", "))."
    case .noInbox(let types):
      "The graph waits for messages \(types.joined(separator: ", ")), but the run has no inbox."
    case .wrongType(let name, let expected, let actual):
      "\(name) must be \(expected), but is \(actual)."
    }
  }
}
