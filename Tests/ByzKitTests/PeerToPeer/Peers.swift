import ByzKit

/// Points in three classes that lines separate, softmax regression on them, and nodes that share them.
struct Peers {
  let model: SoftmaxRegression
  let data: Batch
  let key = RandomKey(7)
  let optimizer = SGD(learningRate: 0.1, momentum: 0.9)

  init(count: Int = 96, inputs: Int = 6, classes: Int = 3) throws {
    model = try SoftmaxRegression(inputs: inputs, classes: classes)
    let labels = (0..<count).map { $0 % classes }
    var points = Tensor<Float>.normal(shape: [count, inputs], deviation: 0.3, key: RandomKey(1))
    for (i, label) in labels.enumerated() { points[i, label] += 2 }
    data = try Batch(inputs: points, labels: labels)
  }

  func honest(_ count: Int) throws -> [HonestNode] {
    let share = data.count / count
    return try (0..<count).map { node in
      try HonestNode(
        name: "honest-\(node)", model: model, data: data[node * share..<(node + 1) * share],
        batchSize: 8, key: key.child(UInt64(node)))
    }
  }

  func byzantine(_ count: Int, _ attack: any Attack) throws -> [ByzantineNode] {
    let own = try honest(1)[0]
    return try (0..<count).map { node in
      try ByzantineNode(
        name: "byzantine-\(node)", attack: attack, own: own, key: key.child(UInt64(100 + node)))
    }
  }

  /// The honest nodes and then the Byzantine ones, all with one rule.
  func participants(
    honest: Int, attack: any Attack = Empire(), byzantine: Int = 0, rule: any Aggregator,
    optimizer: SGD? = nil
  ) throws -> [Participant] {
    let optimizer = optimizer ?? self.optimizer
    return try self.honest(honest).map {
      Participant.honest($0, aggregator: rule, optimizer: optimizer)
    }
      + self.byzantine(byzantine, attack).map {
        Participant.byzantine($0, aggregator: rule, optimizer: optimizer)
      }
  }

  /// A model of its own for each node, far apart.
  func models(_ count: Int) -> [Tensor<Float>] {
    (0..<count).map {
      .normal(shape: [model.parameterCount], key: key.derived(for: "models").child(UInt64($0)))
    }
  }

  /// One model, the same for each node.
  func equalModels(_ count: Int) -> [Tensor<Float>] {
    [Tensor](repeating: model.initialParameters(key: key), count: count)
  }
}

/// Whether two lists of models are the same to the last bit.
func sameBits(_ a: [Tensor<Float>], _ b: [Tensor<Float>]) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { $0.hasSameBits(as: $1) }
}

/// An attack that sends a fixed vector.
struct Sends: BlindAttack {
  let vector: [Float]

  func validate() {}

  func craft<Element>(shape: [Int], key: RandomKey) -> Tensor<Element> {
    Tensor(vector.map(Element.init))
  }
}
