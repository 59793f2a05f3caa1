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
  @Option(help: "How many seeds. (default: 5000; with --find 10000)")
  var seeds: UInt64?
  @Flag(help: "Print every event of --seed.")
  var trace = false
  @Option(help: "Break a rule: \(Plant.allCases.map(\.rawValue).joined(separator: ", ")).")
  var plant: String?
  @Flag(help: "Break each rule in turn, or the one given, and say after how many seeds it shows.")
  var find = false

  /// How many seeds to run.
  private var count: UInt64 { seeds ?? (find ? 10_000 : 5_000) }

  func validate() throws {
    guard count >= 1 else {
      throw ValidationError("--seeds is \(count), and must be at least 1.")
    }
    guard from <= UInt64.max - count else {
      throw ValidationError(
        "--from is \(from), and with \(count) seeds must be at most \(UInt64.max - count).")
    }
    if seed != nil, find {
      throw ValidationError("--seed is one run: --seed and --find exclude each other.")
    }
    if seed != nil, seeds != nil || from != 0 {
      throw ValidationError(
        "--seed is one run: --seed and --from or --seeds exclude each other.")
    }
    if trace, seed == nil {
      throw ValidationError("--trace prints the events of one run: give --seed, too.")
    }
  }

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
    for seed in from..<from + count {
      let outcome = Simulation(plant: plant).run(seed: seed)
      counts.add(outcome.counts)
      try report(outcome, plant)
    }
    print(
      """
      seeds \(from)..<\(from + count): no promise broken
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
    for seed in from..<from + count {
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
