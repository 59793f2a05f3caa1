/// Why a topology could not be made.
public enum TopologyError: Error, Hashable, Sendable {
  /// An edge leads from this node to itself.
  case selfLoop(Int)
  /// An edge is listed twice; an undirected one counts in either direction.
  case duplicateEdge(from: Int, to: Int)
  /// An edge names a node outside of 0 ..< nodes.
  case nodeOutOfRange(from: Int, to: Int, nodes: Int)
  /// A parameter is out of its range.
  case invalidParameter(name: String, value: String, requirement: String)

  static func require(
    _ condition: Bool, _ name: String, _ value: some Any, _ requirement: String
  ) throws(TopologyError) {
    guard condition else {
      throw .invalidParameter(name: name, value: "\(value)", requirement: requirement)
    }
  }
}

extension TopologyError: CustomStringConvertible {
  /// What is wrong, with the edge or the number to change.
  public var description: String {
    switch self {
    case .selfLoop(let node): "The edge \(node) → \(node) is a self-loop: leave it out."
    case .duplicateEdge(let from, let to): "The edge \(from) → \(to) is listed twice."
    case .nodeOutOfRange(let from, let to, let nodes):
      "The edge \(from) → \(to) leaves the nodes 0 to \(nodes - 1)."
    case .invalidParameter(let name, let value, let requirement):
      "\(name) = \(value) is not allowed; it must be \(requirement)."
    }
  }
}
