public import ByzTensor

/// A participant that lies: it owns an attack and sees exactly what the attack's type allows.
public struct ByzantineNode: Sendable {
  /// The name in reports.
  public let name: String
  /// What it sends instead of a gradient.
  public let attack: any Attack

  /// The honest node it could have been: for attacks that see their own gradient or data.
  let own: HonestNode?
  let key: RandomKey

  /// A node with its attack.
  ///
  /// - Parameters:
  ///   - name: the name in reports.
  ///   - attack: what it sends instead of a gradient.
  ///   - own: the node's data, for attacks that see their own gradient or their own data.
  ///   - key: what a random attack draws from; take another for each node.
  /// - Throws: ``AttackError/invalidParameter(attack:name:value:requirement:)`` when the attack needs data and has none.
  public init(
    name: String, attack: any Attack, own: HonestNode? = nil, key: RandomKey
  ) throws(AttackError) {
    if own == nil, attack.needsData {
      throw .invalidParameter(
        attack: attack.name, name: "own", value: "none", requirement: "a node with data")
    }
    self.name = name
    self.attack = attack
    self.own = own
    self.key = key
  }

  /// Checks the attack's parameters, before any round, for what it will see.
  func validate(honest: Int, attackers: Int) throws {
    try validate(attack, honest: honest, attackers: attackers)
  }

  /// The same for an attack that this node might make.
  func validate(_ attack: any Attack, honest: Int, attackers: Int) throws {
    switch attack {
    case let attack as any OmniscientAttack: try attack.validate(n: honest)
    case let attack as any RuleAwareAttack: try attack.validate(f: attackers)
    case let attack as any BlindAttack: try attack.validate()
    case let attack as any ModelAttack: try attack.validate(n: 2)
    case let attack as any OwnGradientAttack: try attack.validate(n: 1)
    case let attack as any DataAttack:
      let classes = own?.model.classCount ?? 0
      _ = try attack.poison(labels: Array(0..<classes), classes: classes)
    default: throw AttackError.unknownType(of: attack)
    }
  }

  /// What the server knows and an attacker may be shown, as far as its type allows.
  struct Round: Sendable {
    let number: Int
    let parameters: Tensor<Float>
    let honest: [Tensor<Float>]
    let rule: any Aggregator
    let attackers: Int
    let learningRate: Double
  }

  /// The vector it sends in a round.
  ///
  /// - Throws: ``AttackError`` or ``AggregationError`` when the attack cannot be made, and what a model throws.
  func vector(in round: Round) throws -> Tensor<Float> {
    switch attack {
    case let attack as any OmniscientAttack:
      return try attack.craft(honest: round.honest)
    case let attack as any RuleAwareAttack:
      return try attack.craft(honest: round.honest, against: round.rule, f: round.attackers)
    case let attack as any BlindAttack:
      return try attack.craft(
        shape: round.parameters.shape, key: key.child(UInt64(round.number)))
    case let attack as any ModelAttack:
      // A server that takes gradients moves by -η times what it averages: this update moves it to G + γ(T - G), where the
      // target T is the model that knows nothing.
      let target = Tensor<Float>(repeating: 0, shape: round.parameters.shape)
      let replaced = try attack.craft(global: round.parameters, target: target)
      return round.parameters.minus(replaced, scaledBy: 1 / Float(round.learningRate))
    case let attack as any OwnGradientAttack:
      return try attack.craft(own: ownGradient(round, labels: { $0 }))
    case let attack as any DataAttack:
      let gradient = try ownGradient(round) { labels in
        try attack.poison(labels: labels, classes: own?.model.classCount ?? 0)
      }
      return try Scaling(scale: attack.scale).craft(own: gradient)
    case let attack: throw AttackError.unknownType(of: attack)
    }
  }

  private func ownGradient(
    _ round: Round, labels change: ([Int]) throws -> [Int]
  ) throws -> Tensor<Float> {
    guard let own else { throw ModelError.emptyBatch }
    let batch = own.batch(round: round.number)
    let seen = try Batch(inputs: batch.inputs, labels: change(batch.labels))
    return try own.gradient(at: round.parameters, on: seen).gradient
  }
}

extension AttackError {
  /// The attack conforms to none of the protocols that say what it sees, or lies to each neighbor where there are none.
  static func unknownType(of attack: any Attack) -> AttackError {
    .invalidParameter(
      attack: attack.name, name: "type", value: "\(type(of: attack))",
      requirement: attack is any TargetedAttack
        ? "one that tells all the same: servers hear one lie only, and faces have none of their own"
        : "one of the protocols listed at Attack")
  }
}

extension Attack {
  /// Whether the attack sees its node's own gradient or data.
  var needsData: Bool { self is any OwnGradientAttack || self is any DataAttack }
}

extension Tensor<Float> {
  /// `factor·(self - other)`.
  fileprivate func minus(_ other: Tensor, scaledBy factor: Float) -> Tensor {
    var difference = self
    difference.withUnsafeMutableBufferPointer { x in
      other.withUnsafeBufferPointer { y in
        for i in x.indices { x[i] = factor * (x[i] - y[i]) }
      }
    }
    return difference
  }
}
