public import ByzTensor

/// A participant as it travels to another process: its data, and the names of its rule and attack in the ``Catalog``.
///
/// Rules and attacks outside of the catalogue do not travel: another process would not know them.
public struct ParticipantSpecification: Codable, Sendable {
  /// Whether the node follows the protocol.
  public enum Role: Codable, Sendable {
    /// It learns from its data and its neighbors.
    case honest(HonestNode)
    /// It lies: its name, the attack as in `empire:scale=-10`, the data it has, and what it draws from.
    case byzantine(name: String, attack: String, own: HonestNode?, key: RandomKey)
  }

  /// Whether the node follows the protocol.
  public let role: Role
  /// The rule, as in `multiKrum:f=1,q=3`.
  public let aggregator: String
  /// What runs before the rule, in order.
  public let preAggregators: [String]
  /// How a local step is taken.
  public let optimizer: SGD

  /// A participant in words.
  public init(
    _ role: Role, aggregator: String, preAggregators: [String] = [], optimizer: SGD
  ) {
    self.role = role
    self.aggregator = aggregator
    self.preAggregators = preAggregators
    self.optimizer = optimizer
  }
}

extension Participant {
  /// The participant that the words describe.
  ///
  /// - Throws: ``CatalogError`` when the catalogue has no such rule or attack, ``AttackError``.
  public init(_ specification: ParticipantSpecification) throws {
    let rule = try RuleSpecification(specification.aggregator)
    var aggregator = try Catalog.aggregator(rule.name).make(rule.parameters)
    if !specification.preAggregators.isEmpty {
      let first = try specification.preAggregators.map { text in
        let rule = try RuleSpecification(text)
        return try Catalog.preAggregator(rule.name).make(rule.parameters)
      }
      aggregator = Pipeline(first, then: aggregator)
    }
    switch specification.role {
    case .honest(let node):
      self = .honest(node, aggregator: aggregator, optimizer: specification.optimizer)
    case .byzantine(let name, let attack, let own, let key):
      let words = try RuleSpecification(attack)
      let attack = try Catalog.attack(words.name).make(words.parameters)
      let node = try ByzantineNode(name: name, attack: attack, own: own, key: key)
      self = .byzantine(node, aggregator: aggregator, optimizer: specification.optimizer)
    }
    self.specification = specification
  }
}
