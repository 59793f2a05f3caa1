import ArgumentParser
import ByzKit
import ByzLaunch
import ExampleSupport

/// Trains on other machines: each hosts some of the nodes, and computes their gradients.
@main
struct DistributedMnist: Program {
  static let configuration = CommandConfiguration(
    commandName: "distributed-mnist",
    abstract: "Train on handwritten digits across machines while some of the nodes lie.",
    discussion: """
      On each machine: byzkit worker --listen HOST:29000, with TLS and a token unless it is this machine. Here: \
      distributed-mnist --remote-hosts tcp://a:29000,tcp://b:29000. Node i lives on host i mod the number of hosts, \
      of which tcp://a:29000*2 is two in a row, with a worker each; if a host is lost, the others take over its nodes. \
      Multi-Krum combines the gradients. Without --remote-hosts everything runs in this process, with the same digest.
      """)

  @Option(
    help:
      "Where workers listen: tcp://host:port or ucx://host:port, with commas. (port: \(LaunchEnvironment.defaultPort))"
  )
  var remoteHosts: String?
  @Option(help: "Nodes that follow the protocol.") var numHonest = 3
  @Option(help: "Nodes that lie.") var numByz = 1
  @Option(help: "Rounds of training.") var rounds = 50
  @Option(help: "Images in one node's batch.") var batchSize = 64
  @Option(name: [.customLong("lr")], help: "Learning rate.") var learningRate = 0.05
  @Option(help: "The number of liars that Multi-Krum tolerates.") var f = 1
  @Option(help: "The gradients that Multi-Krum averages. (default: n - f - 1)") var q: Int?
  @Option(help: "Columns of one subtask of the rule, in units of 1,024; changes scheduling only.")
  var chunkSize = 32
  @Option(help: "What all randomness is drawn from.") var seed: UInt64 = 42
  @Option(help: "A folder with the MNIST files. (default: the bundled images)")
  var dataRoot: String?
  @Option(help: "Rounds from one test to the next; 0 for none but the last.") var evalInterval = 10
  @Option(help: "cnn, mlp or softmax.") var model = ModelName.cnn
  @OptionGroup(title: "Other machines") var connection: ConnectionFlags
  @Flag(help: "Print one JSON object at the end; progress goes to standard error.") var json = false

  static func main() async { await start() }

  func validate() throws {
    try plan.validate(names: ["honest": "num-honest", "byzantine": "num-byz"])
    guard chunkSize >= 1 else {
      throw ValidationError("--chunk-size is \(chunkSize), but must be at least 1.")
    }
  }

  func execute() async throws {
    let pool = try hosts()
    let problem = try Problem(plan)
    let progress = ProgressDisplay(total: rounds, toStandardError: json)
    // More than any model has; and no product that overflows.
    let chunkSize = min(chunkSize, 1 << 30) * 1024
    let report = try await interruptible {
      try await problem.trainWithServer(on: pool, chunkSize: chunkSize, progress: progress)
    }
    try printOut(json ? try report.json() : report.table)
    if report.wasStopped { throw ExitCode(130) }
  }

  private var plan: TrainingPlan {
    var plan = TrainingPlan()
    (plan.honest, plan.byzantine, plan.rounds, plan.batchSize) = (
      numHonest, numByz, rounds, batchSize
    )
    (plan.learningRate, plan.aggregator, plan.f) = (learningRate, "multiKrum", f)
    // What could overflow is refused by the plan.
    plan.q = q ?? numHonest &+ numByz &- f &- 1
    (plan.seed, plan.dataRoot, plan.evalInterval, plan.model) = (
      seed, dataRoot, evalInterval, model
    )
    return plan
  }

  /// As many workers on each host as its count says, in their order: nodes are dealt to workers one by one.
  private func hosts() throws -> [WorkerConfiguration] {
    let hosts = try remoteHosts.map { try RemoteHosts($0).list } ?? []
    try connection.check(hosts)
    let options = try connection.options()
    return hosts.isEmpty ? [.threads(2)] : hosts.map { $0.configuration(options) }
  }
}
