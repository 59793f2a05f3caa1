import ArgumentParser
import ByzKit
import ByzLaunch
import ExampleSupport

/// Trains a classifier of handwritten digits without a server: nodes learn from their neighbors,
/// while some of these lie.
@main
struct P2PMnist: Program {
  static let configuration = CommandConfiguration(
    commandName: "p2p-mnist",
    abstract: "Train on handwritten digits without a server while some of the nodes lie.",
    discussion: """
      In each round every node takes a local step, sends its model to its neighbors, and moves to the robust \
      aggregate of its own model and theirs. Nodes are numbered, honest ones first.

      A topology is complete, star, ring:k=2, torus:rows=2,columns=3 or erdosRenyi:p=0.5,seed=1.

      With --mode async each node goes on as soon as it has heard --quorum neighbors, of whose models none is older \
      than --staleness rounds; messages arrive in an order drawn from the seed, so the same flags give the same digest. \
      Models are tested at the end only.

      Subtasks run on threads, in child processes, or on machines where 'byzkit worker' listens (--backend), with the same \
      digest; the messages between nodes stay in this program.

      With --remote-hosts node i lives on host i mod the number of hosts, of which tcp://a:29000*2 is two in a row, where \
      byzkit worker listens, and sends its model to its neighbors' hosts itself: this program hands out the topology and \
      the addresses, and collects reports. In step the digest is that of the same run in one process; with --mode async \
      the network's timing decides.
      """)

  enum ModeName: String, CaseIterable, ExpressibleByArgument { case sync, async }

  @OptionGroup var training: TrainingFlags
  @Option(help: "Who sends to whom.") var topology = "complete"
  @Option(help: "sync: rounds in step. async: each node at its own pace.") var mode = ModeName.sync
  @Option(
    help:
      "The neighbors that a round needs, in step from its deadline on. (default: sync: all but a third; async: the fewest that an honest node has - f, but at least 1)"
  )
  var quorum: Int?
  @Option(help: "async: the most rounds by which a neighbor's model may be older. (default: 2)")
  var staleness: Int?
  @OptionGroup(title: "Without --remote-hosts") var workers: WorkerFlags
  @Option(
    help:
      "Where nodes live: tcp://host:port or ucx://host:port, with commas. (port: \(LaunchEnvironment.defaultPort))"
  )
  var remoteHosts: String?
  @OptionGroup(title: "Other machines") var connection: ConnectionFlags

  static func main() async { await start() }

  func validate() throws {
    guard remoteHosts == nil || workers.backend == "thread" else {
      throw ValidationError("--backend and --remote-hosts exclude each other.")
    }
    guard remoteHosts == nil || workers.workers == nil else {
      throw ValidationError(
        "--workers is for --backend: with --remote-hosts nodes compute where they live.")
    }
    guard mode == .async || staleness == nil else {
      throw ValidationError(
        "--staleness is for --mode async: in step, a node uses vectors of its own round only.")
    }
    guard mode == .sync || (training.evalInterval ?? 0) == 0 else {
      throw ValidationError(
        "--eval-interval is for --mode sync: with async, models are tested at the end only.")
    }
  }

  func execute() async throws {
    let plan = plan
    let topology = try Topology(parsing: topology, nodes: plan.honest + plan.byzantine)
    let mode = gossipMode(topology)
    let problem = try Problem(plan)
    let progress = ProgressDisplay(total: plan.rounds, toStandardError: training.json)
    if !topology.isConnected {
      progress.note(
        "The topology has \(topology.components.count) parts that learn each for themselves.")
    }
    let hosts = try hosts()
    let pool = hosts == nil ? try workers.configurations(connection) : []
    let report = try await interruptible {
      if let hosts {
        try await problem.trainAmongHosts(hosts, topology, mode: mode, progress: progress)
      } else {
        try await problem.trainAmongPeers(
          topology, mode: mode, on: pool, progress: progress)
      }
    }
    try printOut(training.json ? try report.json() : report.table)
    if report.wasStopped { throw ExitCode(130) }
  }

  /// What the flags ask for.
  private var plan: TrainingPlan {
    var plan = training.plan
    // The default of --quorum depends on it.
    plan.usesF = mode == .async && quorum == nil
    return plan
  }

  private func hosts() throws -> [any WorkerBackend]? {
    guard let remoteHosts else { return nil }
    let hosts = try RemoteHosts(remoteHosts).list
    try connection.check(hosts)
    let options = try connection.options()
    return hosts.flatMap { host in
      Array(repeating: host.backend(options), count: host.count)
    }
  }

  private func gossipMode(_ topology: Topology) -> GossipMode {
    guard mode == .async else { return quorum.map { .synchronous(quorum: $0) } ?? .synchronous }
    let fewest = (0..<training.honest).map { topology.inNeighbors(of: $0).count }.min() ?? 0
    // With a quorum of 0, nobody would wait to hear anyone; a node without neighbors can wait for none.
    let heard = min(fewest, max(1, fewest - training.plan.tolerated))
    return .asynchronous(quorum: quorum ?? heard, staleness: staleness ?? 2)
  }
}
