package import ByzKit
import ExampleData

/// What there is to learn, who learns it, and who is in the way.
package struct Problem: Sendable {
  package let plan: TrainingPlan
  package let model: any Model
  package let honest: [HonestNode]
  package let byzantine: [ByzantineNode]
  package let rule: any Aggregator
  package let optimizer: SGD
  /// What training starts from.
  package let parameters: Tensor<Float>
  /// What accuracy is measured on.
  package let test: Batch
  package let key: RandomKey

  /// Reads the data and makes the nodes.
  package init(_ plan: TrainingPlan) throws {
    self.plan = plan
    rule = try plan.makeAggregator()
    let attack = try plan.makeAttack()
    let data = try Dataset.mnist(at: plan.dataRoot ?? bundledMNIST)
    model = try plan.model.make(for: data.train)
    test = data.test.batch
    let key = RandomKey(plan.seed)
    self.key = key
    let parts = try plan.partition.rule.indices(
      of: data.train.labels, nodes: plan.honest, key: key.derived(for: "partition"))
    let train = data.train.batch
    let honest = try parts.enumerated().map { [model] node, part in
      try HonestNode(
        name: "honest-\(node)", model: model, data: train.selecting(part),
        batchSize: plan.batchSize, key: key.derived(node: node, round: 0, purpose: "batches"))
    }
    self.honest = honest
    byzantine = try (0..<plan.byzantine).map { node in
      // A liar that needs data gets an honest node's: it pretends to be one.
      try ByzantineNode(
        name: "byzantine-\(node)", attack: attack, own: honest[node % honest.count],
        key: Self.liarKey(node, plan, key))
    }
    optimizer = SGD(
      learningRate: .constant(plan.learningRate), momentum: plan.momentum,
      weightDecay: plan.weightDecay)
    parameters = model.initialParameters(key: key.derived(for: "parameters"))
  }

  /// What a liar draws from.
  private static func liarKey(_ node: Int, _ plan: TrainingPlan, _ key: RandomKey) -> RandomKey {
    key.derived(node: plan.honest + node, round: 0, purpose: "attack")
  }

  /// The nodes in words, for processes that make them again.
  package var specifications: [ParticipantSpecification] {
    get throws {
      let rule = try plan.aggregatorInFull.description
      let before = try plan.preAggregatorsInFull.map(\.description)
      let attack = try plan.attackInFull.description
      let liars = byzantine.enumerated().map { node, liar in
        ParticipantSpecification.Role.byzantine(
          name: liar.name, attack: attack, own: honest[node % honest.count],
          key: Self.liarKey(node, plan, key))
      }
      return (honest.map(ParticipantSpecification.Role.honest) + liars).map {
        ParticipantSpecification(
          $0, aggregator: rule, preAggregators: before, optimizer: optimizer)
      }
    }
  }

  package func accuracy(at parameters: Tensor<Float>) throws -> Double {
    try model.accuracy(at: parameters, on: test)
  }
}

extension Duration {
  /// The duration in seconds.
  package var seconds: Double {
    Double(components.seconds) + Double(components.attoseconds) * 1e-18
  }
}
