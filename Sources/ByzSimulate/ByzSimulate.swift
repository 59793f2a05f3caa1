import ArgumentParser
import ByzSimulation

@main
struct ByzSimulate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "byzkit-simulate",
    abstract: "Runs the runtime's state machines in virtual time, seed after seed.",
    discussion: """
      Ends with status 1 when a promise was broken, after the seed and how to see every event of it.
      """)

  @Option(help: "One seed to run.")
  var seed: UInt64?
  @Option(help: "The first of many seeds.")
  var from: UInt64 = 0
  @Option(help: "How many seeds.")
  var seeds: UInt64 = 5_000
  @Flag(help: "Print every event.")
  var trace = false
  @Option(help: "Break a rule: \(Plant.allCases.map(\.rawValue).joined(separator: ", ")).")
  var plant: String?
  @Flag(help: "Break each rule in turn, or the one given, and say after how many seeds it shows.")
  var find = false

  func run() throws {
    let chosen = try plant.map { name in
      guard let plant = Plant(rawValue: name) else {
        throw ValidationError("There is no plant \(name).")
      }
      return plant
    }
    if find {
      for plant in chosen.map({ [$0] }) ?? Plant.allCases { try find(plant) }
    } else if let seed {
      try runOne(seed, chosen)
    } else {
      try runMany(chosen)
    }
  }

  private func runOne(_ seed: UInt64, _ plant: Plant?) throws {
    let outcome = Simulation(plant: plant, keepsTrace: trace).run(seed: seed)
    for line in outcome.trace { print(line) }
    print(
      "seed \(seed): digest \(String(outcome.digest, radix: 16)), \(outcome.counts.events) events")
    try report(outcome, plant)
  }

  private func runMany(_ plant: Plant?) throws {
    let start = ContinuousClock.now
    var counts = SimulationCounts()
    for seed in from..<from + seeds {
      let outcome = Simulation(plant: plant).run(seed: seed)
      counts.add(outcome.counts)
      try report(outcome, plant)
    }
    print(
      """
      seeds \(from)..<\(from + seeds): no promise broken
      \(counts.events) events, \(counts.messages) messages, \(counts.connections) connections, \
      \(counts.faults) faults
      \(counts.subtasks) subtasks: \(counts.returned) returned, \(counts.refused) in calls that \
      failed with a typed error; \(counts.retries) lost with their worker
      \(counts.rounds) rounds, \(counts.gossip) vectors between nodes
      \(counts.letters) letters: \(counts.received) received, \(counts.unknown) whose fate is unknown; \
      \(counts.passedOn) passed on by the client
      took \(ContinuousClock.now - start)
      """)
  }

  private func find(_ plant: Plant) throws {
    for seed in from..<from + max(seeds, 10_000) {
      let outcome = Simulation(plant: plant).run(seed: seed)
      guard let violation = outcome.violation else { continue }
      print("\(plant.rawValue): found after \(seed - from + 1) seeds: \(violation)")
      return
    }
    print("\(plant.rawValue): NOT FOUND")
    throw ExitCode.failure
  }

  private func report(_ outcome: Simulation.Outcome, _ plant: Plant?) throws {
    guard let violation = outcome.violation else { return }
    print("seed \(outcome.seed): \(violation)")
    let planted = plant.map { " --plant \($0.rawValue)" } ?? ""
    print("byzkit-simulate --seed \(outcome.seed)\(planted) --trace")
    throw ExitCode.failure
  }
}
