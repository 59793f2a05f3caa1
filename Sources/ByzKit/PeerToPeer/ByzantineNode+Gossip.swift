import ByzTensor

/// What a Byzantine node may be shown among peers, as far as its attack's type allows.
struct GossipView {
  let round: Int
  /// The vectors that its honest neighbors sent it in this round, in the order of the nodes.
  let honest: [Tensor<Float>]
  /// The shape of a model.
  let shape: [Int]
  /// The rule that its neighbors use.
  let rule: any Aggregator
  /// Its own model before and after an honest local step, if it has data.
  let before: Tensor<Float>
  let after: Tensor<Float>
  /// The rate of that step.
  let rate: Double
}

extension ByzantineNode {
  /// Whether it must keep a model of its own: some attack of its sees what it would honestly send.
  func keepsModel(against neighbors: [Int]) -> Bool {
    own != nil && neighbors.contains { face(for: $0).needsData }
  }

  /// Checks the attack for each neighbor it lies to.
  func validate(against neighbors: [Int], honest: Int, attackers: (Int) -> Int) throws {
    for neighbor in neighbors {
      let attack = face(for: neighbor)
      if attack.needsData && own == nil {
        throw AttackError.invalidParameter(
          attack: attack.name, name: "own", value: "none", requirement: "a node with data")
      }
      try validate(attack, honest: honest, attackers: attackers(neighbor))
    }
  }

  /// What it sends to one neighbor, which hears `attackers` Byzantine nodes.
  ///
  /// Models travel here, not gradients: an attack on the honest gradients works on the honest
  /// models, and what a node "would honestly send" is its model after its local step.
  ///
  /// - Throws: ``AttackError`` or ``AggregationError`` when the attack cannot be made, and what a
  ///   model throws.
  func lie(to neighbor: Int, of attackers: Int, seeing view: GossipView) throws -> Tensor<Float> {
    switch face(for: neighbor) {
    case let attack as any OmniscientAttack:
      return try attack.craft(honest: view.honest)
    case let attack as any RuleAwareAttack:
      return try attack.craft(honest: view.honest, against: view.rule, f: attackers)
    case let attack as any BlindAttack:
      let key = key.child(UInt64(view.round)).child(UInt64(neighbor))
      return try attack.craft(shape: view.shape, key: key)
    case let attack as any ModelAttack:
      // There is no one global model: the mean of what is heard stands for it.
      let target = Tensor<Float>(repeating: 0, shape: view.shape)
      return try attack.craft(global: Mean().aggregate(view.honest), target: target)
    case let attack as any OwnGradientAttack:
      return try attack.craft(own: view.after)
    case let attack as any DataAttack:
      return try poisoned(attack, view)
    case let attack: throw AttackError.unknownType(of: attack)
    }
  }

  private func face(for neighbor: Int) -> any Attack {
    (attack as? any TargetedAttack)?.attack(against: neighbor) ?? attack
  }

  /// A plain step on the poisoned data, `scale` times as long.
  private func poisoned(_ attack: any DataAttack, _ view: GossipView) throws -> Tensor<Float> {
    guard let own else { throw ModelError.emptyBatch }
    let batch = own.batch(round: view.round)
    let labels = try attack.poison(labels: batch.labels, classes: own.model.classCount)
    let gradient = try own.gradient(
      at: view.before, on: Batch(inputs: batch.inputs, labels: labels)
    ).gradient
    var vector = view.before
    let step = Float(view.rate * attack.scale)
    vector.withUnsafeMutableBufferPointer { x in
      gradient.withUnsafeBufferPointer { g in
        for i in x.indices { x[i] -= step * g[i] }
      }
    }
    return vector
  }
}

extension Tensor<Float> {
  /// Whether no element is NaN or infinite.
  var isFinite: Bool { withUnsafeBufferPointer { $0.allSatisfy(\.isFinite) } }
}
