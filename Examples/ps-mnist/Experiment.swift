import ByzKit
import ExampleData

/// One training run as the flags describe it.
struct Experiment {
  private let flags: PSMnist
  private let model: any Model
  private let server: ParameterServer
  private let test: Batch

  init(_ flags: PSMnist) throws {
    self.flags = flags
    let data = try Dataset.mnist(at: flags.dataRoot ?? bundledMNIST)
    model = try flags.model.make(for: data.train)
    test = data.test.batch

    let key = RandomKey(flags.seed)
    let parts = try flags.partition.rule.indices(
      of: data.train.labels, nodes: flags.honest, key: key.derived(for: "partition"))
    let train = data.train.batch
    let honest = try parts.enumerated().map { [model] node, part in
      try HonestNode(
        name: "honest-\(node)", model: model, data: train.selecting(part),
        batchSize: flags.batchSize, key: key.derived(node: node, round: 0, purpose: "batches"))
    }
    let attack = try flags.makeAttack()
    let byzantine = try (0..<flags.byzantine).map { node in
      // A liar that needs data gets an honest worker's: it pretends to be one.
      try ByzantineNode(
        name: "byzantine-\(node)", attack: attack, own: honest[node % honest.count],
        key: key.derived(node: flags.honest + node, round: 0, purpose: "attack"))
    }
    server = try ParameterServer(
      honest: honest, byzantine: byzantine, aggregator: flags.makeAggregator(),
      optimizer: SGD(
        learningRate: .constant(flags.learningRate), momentum: flags.momentum,
        weightDecay: flags.weightDecay),
      parameters: model.initialParameters(key: key.derived(for: "parameters")))
  }

  /// Trains until the last round, or until the task is cancelled.
  func run() async throws -> Summary {
    let progress = Progress(total: flags.rounds, toStandardError: flags.json)
    let clock = ContinuousClock()
    let start = clock.now
    return try await withActorPool(.threads(flags.workers)) { pool in
      var server = server
      var report: RoundReport?
      var stepsTaken = 0
      var accuracy = 0.0
      var wasStopped = false
      for round in 1...flags.rounds {
        do {
          let latest = try await server.round(on: pool)
          if latest.step == .taken { stepsTaken += 1 }
          report = latest
        } catch is CancellationError {
          wasStopped = true
          break
        }
        if round % flags.evalInterval == 0 && round < flags.rounds {
          accuracy = try model.accuracy(at: server.parameters, on: test)
          progress.log(round: round, loss: report?.meanLoss, accuracy: accuracy)
        }
        progress.show(round: round, accuracy: accuracy)
      }
      accuracy = try model.accuracy(at: server.parameters, on: test)
      progress.finish(round: server.roundsDone, loss: report?.meanLoss, accuracy: accuracy)
      return Summary(
        server: server, last: report, stepsTaken: stepsTaken, accuracy: accuracy,
        seconds: (clock.now - start).seconds, wasStopped: wasStopped)
    }
  }
}

extension Duration {
  /// The duration in seconds.
  var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

// MARK: - Flags

extension PSMnist {
  /// The liars that the rules are told to tolerate.
  private var tolerated: Int { f ?? byzantine }

  func makeAggregator() throws -> any Aggregator {
    var specification = try RuleSpecification(aggregator)
    let entry = try Catalog.aggregator(specification.name)
    specification.setDefault("f", .integer(tolerated), for: entry)
    specification.setDefault("q", .integer(q ?? honest + byzantine - tolerated), for: entry)
    let rule = try entry.make(specification.parameters)
    return try preAggregators.isEmpty
      ? rule : Pipeline(preAggregators.map(makePreAggregator), then: rule)
  }

  private func makePreAggregator(_ text: String) throws -> any PreAggregator {
    var specification = try RuleSpecification(text)
    let entry = try Catalog.preAggregator(specification.name)
    specification.setDefault("f", .integer(tolerated), for: entry)
    specification.setDefault("seed", .integer(Int(truncatingIfNeeded: seed)), for: entry)
    return try entry.make(specification.parameters)
  }

  func makeAttack() throws -> any Attack {
    var specification = try RuleSpecification(attack)
    let entry = try Catalog.attack(specification.name)
    specification.setDefault("f", .integer(byzantine), for: entry)
    let strengths = ["scale", "tau", "gamma", "sigma"]
    if let attackScale {
      guard let strength = entry.parameters.map(\.name).first(where: strengths.contains) else {
        throw CatalogError.unknownParameter(
          "attack-scale", of: entry.name, known: entry.parameters.map(\.name))
      }
      specification.setDefault(strength, .number(attackScale), for: entry)
    } else if entry.name == "empire" {
      specification.setDefault("scale", .number(-10), for: entry)
    }
    return try entry.make(specification.parameters)
  }
}

extension PartitionName {
  /// Two shards for each worker; a Dirichlet draw with α = 0.5.
  var rule: Partition {
    switch self {
    case .iid: .iid
    case .shards: .shards(perNode: 2)
    case .dirichlet: .dirichlet(alpha: 0.5)
    }
  }
}
