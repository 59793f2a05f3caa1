/// One of the nodes that learn from each other: who it is, by which rule it takes in its neighbors'
/// vectors, and how it steps.
public struct Participant: Sendable {
  /// Whether it follows the protocol.
  public let role: Role
  /// The rule, with its pre-aggregators. A Byzantine node takes it to be its neighbors'.
  public let aggregator: any Aggregator
  /// How a local step is taken.
  public let optimizer: SGD
  /// What it was made from, if it can be made again in another process.
  public internal(set) var specification: ParticipantSpecification?

  /// Whether a node follows the protocol.
  public enum Role: Sendable {
    /// It learns from its data and its neighbors.
    case honest(HonestNode)
    /// It lies.
    case byzantine(ByzantineNode)
  }

  /// A node that follows the protocol.
  public static func honest(
    _ node: HonestNode, aggregator: any Aggregator, optimizer: SGD
  ) -> Participant {
    Participant(
      role: .honest(node), aggregator: aggregator, optimizer: optimizer, specification: nil)
  }

  /// A node that lies.
  public static func byzantine(
    _ node: ByzantineNode, aggregator: any Aggregator, optimizer: SGD
  ) -> Participant {
    Participant(
      role: .byzantine(node), aggregator: aggregator, optimizer: optimizer, specification: nil)
  }

  /// The name in reports.
  public var name: String {
    switch role {
    case .honest(let node): node.name
    case .byzantine(let node): node.name
    }
  }

  /// Whether it lies.
  public var isByzantine: Bool {
    if case .byzantine = role { true } else { false }
  }
}
