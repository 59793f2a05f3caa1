package import ArgumentParser

/// The flags of a training program.
package struct TrainingFlags: ParsableArguments {
  @Option(help: "Nodes that follow the protocol.") package var honest = 4
  @Option(help: "Nodes that lie.") package var byzantine = 1
  @Option(help: "Rounds of training.") package var rounds = 200
  @Option(help: "Images in one node's batch.") package var batchSize = 64
  @Option(name: [.customLong("lr")], help: "Learning rate.") package var learningRate = 0.05
  @Option(help: "Momentum of the optimizer.") package var momentum: Float = 0.9
  @Option(help: "Weight decay.") package var weightDecay: Float = 0
  @Option(help: "cnn, mlp or softmax.") package var model = ModelName.cnn
  @Option(help: "How vectors are combined.") package var aggregator = "median"
  @Option(name: .customLong("pre-aggregator"), help: "What runs before it; repeat for more.")
  package var preAggregators: [String] = []
  @Option(help: "What the liars send.") package var attack = "empire"
  @Option(
    parsing: .unconditional,
    help: "The attack's strength: its scale, tau, gamma or sigma. (default: -10 for empire)")
  package var attackScale: Double?
  @Option(help: "The number of liars that the rules tolerate. (default: --byzantine)")
  package var f: Int?
  @Option(help: "The vectors that Multi-Krum averages. (default: n - f)") package var q: Int?
  @Option(help: "What all randomness is drawn from.") package var seed: UInt64 = 0
  @Option(help: "Rounds from one test to the next; 0 for none but the last. (default: 50)")
  package var evalInterval: Int?
  @Option(help: "How the images are dealt to the nodes: iid, shards or dirichlet.")
  package var partition = PartitionName.iid
  @Option(help: "A folder with the MNIST files, such as /usr/share/datasets/fashion-mnist.")
  package var dataRoot: String?
  @Flag(help: "Print one JSON object at the end; progress goes to standard error.")
  package var json = false

  package init() {}

  package func validate() throws { try plan.validate() }

  /// What they ask for.
  package var plan: TrainingPlan {
    var plan = TrainingPlan()
    (plan.honest, plan.byzantine, plan.rounds) = (honest, byzantine, rounds)
    (plan.batchSize, plan.learningRate) = (batchSize, learningRate)
    (plan.momentum, plan.weightDecay, plan.model) = (momentum, weightDecay, model)
    (plan.aggregator, plan.preAggregators) = (aggregator, preAggregators)
    (plan.attack, plan.attackScale, plan.f, plan.q) = (attack, attackScale, f, q)
    (plan.seed, plan.partition, plan.dataRoot) = (seed, partition, dataRoot)
    plan.evalInterval = evalInterval ?? plan.evalInterval
    return plan
  }
}

extension ModelName: ExpressibleByArgument {}
extension PartitionName: ExpressibleByArgument {}
