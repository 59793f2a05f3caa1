import ByzRuntime
public import ByzTensor

/// What a cluster is to run: the nodes, who sends to whom, and how long they wait.
public struct ClusterPlan: Sendable {
  /// The nodes, as the topology numbers them.
  public let participants: [Participant]
  /// Who sends to whom.
  public let topology: Topology
  /// What each node starts from, of one shape (d).
  public let models: [Tensor<Float>]
  /// How long a node waits for its neighbors.
  public let mode: GossipMode
  /// The longest a round waits.
  public let deadline: Duration
  /// How many threads of its own each node has, one of which takes its local steps and all of which apply its rule; 0 for none: it
  /// computes in its task, as a Byzantine node always makes its lies.
  public let threads: Int

  /// The most threads of a node.
  static let maxThreads = 1024

  /// A plan. The backend checks it with ``validate()``.
  public init(
    _ participants: [Participant], topology: Topology, models: [Tensor<Float>],
    mode: GossipMode = .synchronous, deadline: Duration = .seconds(60), threads: Int = 0
  ) {
    self.participants = participants
    self.topology = topology
    self.models = models
    self.mode = mode
    self.deadline = deadline
    self.threads = threads
  }

  /// Checks that there are a participant and a model for each node, that the models are of one shape, and how many threads there are.
  ///
  /// - Throws: ``PeerToPeerError/wrongCount(of:expected:actual:)``,
  ///   ``ModelError/wrongParameterCount(expected:actual:)``, `RuntimeError` for a count of threads that is not in 0...1024.
  public func validate() throws {
    try Self.validate(threads: threads)
    let n = topology.nodeCount
    for (what, count) in [("participants", participants.count), ("models", models.count)]
    where count != n {
      throw PeerToPeerError.wrongCount(of: what, expected: n, actual: count)
    }
    for model in models where model.shape != models[0].shape {
      throw ModelError.wrongParameterCount(expected: models[0].count, actual: model.count)
    }
  }

  static func validate(threads: Int) throws(RuntimeError) {
    guard (0...maxThreads).contains(threads) else {
      throw RuntimeError(
        .invalidConfiguration, "A node computes on 0 to \(maxThreads) threads, not \(threads).")
    }
  }

  /// The nodes that lie.
  public var byzantine: Set<Int> {
    Set(participants.indices.filter { participants[$0].isByzantine })
  }
}

/// Where the nodes of a cluster live: in this process, in children, on other hosts.
public protocol ClusterBackend: Sendable {
  /// Brings the nodes to life; nothing is sent yet.
  ///
  /// - Throws: what is wrong with the plan; `RuntimeError` when a node cannot be started. No node
  ///   is left then.
  func start(_ plan: ClusterPlan) async throws -> any Cluster
}

/// Nodes that are alive. ``withCluster(_:on:isolation:body:)`` makes one and ends it.
public protocol Cluster: AnyObject, Sendable {
  /// Runs rounds on all nodes at the same time, and returns when the last node is done. One run at
  /// a time. All begin with the same round: a node that ended an earlier run before the others does
  /// not make up for what it missed, and takes part again with the model that it had then.
  ///
  /// - Returns: for each node the reports of its rounds, or why it ended early; the others go on
  ///   without it.
  /// - Throws: `CancellationError`, once the nodes have ended what they do, or, of those in other processes, are given up after
  ///   `Liveness.timeout` and the deadline of a round; `RuntimeError` for more than ``mostRounds``.
  func run(rounds: Int) async throws -> [Result<[GossipReport], any Error>]

  /// Each node's model after its last round; nil of a node that is lost, whose answer is no model of this cluster, or
  /// takes longer than a minute and a second for each megabyte of all models.
  func models() async throws -> [Tensor<Float>?]

  /// The most rounds of one run: what nodes in other processes report of it comes in one message each.
  var mostRounds: Int { get }

  /// How many messages between nodes have gone through this process, because the nodes could not reach each other.
  var lettersPassedOn: Int { get }

  /// Ends every node. Called once, after the last run.
  func stop() async
}

extension Cluster {
  /// Any number.
  public var mostRounds: Int { .max }

  /// None: the nodes reach each other.
  public var lettersPassedOn: Int { 0 }
}

/// Brings nodes to life, hands them to `body`, and ends them when `body` ends, however it ends.
///
/// ```swift
/// let plan = ClusterPlan(participants, topology: try .ring(8), models: models)
/// let trained = try await withCluster(plan) { cluster in
///   _ = try await cluster.run(rounds: 100)
///   return try await cluster.models()
/// }
/// ```
///
/// - Throws: what `body` or the backend throws.
public func withCluster<Result>(
  _ plan: ClusterPlan, on backend: some ClusterBackend = .inProcess,
  isolation: isolated (any Actor)? = #isolation,
  body: (any Cluster) async throws -> Result
) async throws -> Result {
  let cluster = try await backend.start(plan)
  let result: Result
  do {
    result = try await body(cluster)
  } catch {
    await cluster.stop()
    throw error
  }
  await cluster.stop()
  return result
}

// MARK: - In process

/// Nodes in this process, each a task of its own, with mailboxes between them.
public struct InProcessCluster: ClusterBackend {
  private let clock: any Clock<Duration>

  /// Nodes whose deadlines `clock` measures.
  public init(clock: any Clock<Duration> = ContinuousClock()) { self.clock = clock }

  /// Makes the nodes.
  public func start(_ plan: ClusterPlan) async throws -> any Cluster {
    try plan.validate()
    let nodes = try plan.participants.enumerated().map { number, participant in
      try DecentralizedNode(
        number, participant, in: plan.topology, parameters: plan.models[number], mode: plan.mode,
        accomplices: plan.byzantine, deadline: plan.deadline, clock: clock)
    }
    return RunningNodes(nodes: nodes, topology: plan.topology, threads: plan.threads)
  }
}

extension ClusterBackend where Self == InProcessCluster {
  /// Nodes in this process.
  public static var inProcess: InProcessCluster { InProcessCluster() }
}

private final class RunningNodes: Cluster {
  let nodes: [DecentralizedNode]
  let topology: Topology
  let threads: Int

  init(nodes: [DecentralizedNode], topology: Topology, threads: Int) {
    self.nodes = nodes
    self.topology = topology
    self.threads = threads
  }

  func run(rounds: Int) async throws -> [Result<[GossipReport], any Error>] {
    // A new network for each run: a node that was done early had left the last one.
    let network = InProcessNetwork(topology)
    var roundsDone = 0
    for node in nodes { roundsDone = max(roundsDone, await node.roundsDone) }
    let start = roundsDone
    let results = await withTaskGroup(of: (Int, Result<[GossipReport], any Error>).self) { group in
      for node in nodes {
        group.addTask {
          do {
            let reports = try await node.run(
              rounds: rounds, from: start, over: network.transport(for: node.number),
              threads: self.threads)
            return (node.number, .success(reports))
          } catch {
            return (node.number, .failure(error))
          }
        }
      }
      var results: [Int: Result<[GossipReport], any Error>] = [:]
      for await (number, result) in group { results[number] = result }
      return nodes.compactMap { results[$0.number] }
    }
    try Task.checkCancellation()
    return results
  }

  func models() async -> [Tensor<Float>?] {
    var models: [Tensor<Float>?] = []
    for node in nodes { models.append(await node.parameters) }
    return models
  }

  func stop() async {}
}
