public import ByzRuntime
import ByzTensor

/// Nodes in other processes: children, one for each, or processes on other hosts, in turn.
///
/// Each node does its rounds by itself, and sends its vectors to its neighbors directly: hosts connect to each other,
/// and the process that started the nodes hands out topology and addresses and takes no part in the learning. Only between nodes that
/// cannot reach each other it passes the mail on; ``Cluster/lettersPassedOn`` counts that.
public struct RemoteCluster: ClusterBackend {
  private let backends: [any WorkerBackend]
  private let liveness: Liveness

  private let stragglerFactor: Int

  /// Nodes on `backends`, in turn.
  ///
  /// - Parameters:
  ///   - backends: children of this process, or hosts.
  ///   - liveness: how soon a node that is silent is lost.
  ///   - stragglerFactor: how many times as long as most nodes took for a run the others may still take, or the deadlines of its rounds
  ///     if that is more; then they are given up. From 1 to a million.
  public init(
    _ backends: [any WorkerBackend], liveness: Liveness = Liveness(), stragglerFactor: Int = 10
  ) {
    self.backends = backends
    self.liveness = liveness
    self.stragglerFactor = stragglerFactor
  }

  /// Starts a child process for each node, or connects to a host once for each that is to live there, and makes the nodes. That takes as long as the slowest host does; when the calling task is
  /// cancelled, or another node cannot be made, one that does not answer is given up after `Liveness.timeout`.
  ///
  /// - Throws: ``PeerToPeerError/notSpecified(node:)`` for a participant that was not made from a
  ///   ``ParticipantSpecification``, and what starting throws.
  public func start(_ plan: ClusterPlan) async throws -> any Cluster {
    try plan.validate()
    guard !backends.isEmpty else {
      throw RuntimeError(.invalidConfiguration, "A cluster needs at least one host.")
    }
    guard plan.deadline > .zero else {
      throw RuntimeError(
        .invalidConfiguration,
        "Vectors have until the deadline of a round to reach nodes in other processes: give one above 0."
      )
    }
    guard (1...1_000_000).contains(stragglerFactor) else {
      throw RuntimeError(
        .invalidConfiguration,
        "stragglerFactor is \(stragglerFactor), and must be from 1 to a million.")
    }
    for backend in backends where !(backend is any LinkBackend) {
      throw RuntimeError(
        .invalidConfiguration,
        "Each node needs a process of its own, which \(backend.name) does not give: use .inProcess for nodes in this one."
      )
    }
    let system = ByzActorSystem(registry: .byzKit, liveness: liveness)
    do {
      return RemoteNodes(
        system: system, nodes: try await nodes(of: plan, in: system), plan: plan,
        stragglerFactor: stragglerFactor)
    } catch {
      await system.stop()
      try Task.checkCancellation()
      throw error
    }
  }

  private func nodes(
    of plan: ClusterPlan, in system: ByzActorSystem
  ) async throws -> [GossipHost] {
    let arguments = try plan.participants.indices.map {
      try GossipHost.Arguments(node: $0, of: plan, starter: system.host)
    }
    return try await withThrowingTaskGroup(of: (Int, GossipHost).self) { group in
      for (number, arguments) in arguments.enumerated() {
        let backend = backends[number % backends.count]
        group.addTask { (number, try await spawn(arguments, on: backend, in: system)) }
      }
      var nodes: [Int: GossipHost] = [:]
      for try await (number, node) in group { nodes[number] = node }
      return arguments.indices.compactMap { nodes[$0] }
    }
  }
}

/// When another node cannot be made, or nobody wants any, a host that does not answer is given up.
private func spawn(
  _ arguments: GossipHost.Arguments, on backend: some WorkerBackend, in system: ByzActorSystem
) async throws -> GossipHost {
  try await system.endingConnectionsWhenCancelled(after: .zero) {
    system.spawningHosts
  } during: {
    try await system.spawn(GossipHost.self, arguments, on: backend)
  }
}

extension ClusterBackend where Self == RemoteCluster {
  /// Each node in a child process.
  public static var processes: RemoteCluster { RemoteCluster([ProcessBackend()]) }

  /// The nodes on hosts, in turn.
  public static func hosts(_ backends: any WorkerBackend...) -> RemoteCluster {
    RemoteCluster(backends)
  }
}

private final class RemoteNodes: Cluster {
  let system: ByzActorSystem
  let nodes: [GossipHost]
  /// The longest a round waits.
  private let deadline: Duration
  /// How long a node that still ends its last run is waited for.
  private let patience: Duration
  private let stragglerFactor: Int
  private let shape: [Int]
  private let byzantine: Set<Int>
  let mostRounds: Int
  private let progress = Monitor(Progress())

  private struct Progress: Sendable {
    var runs = 0
    /// What was asked for so far: no node has done more, whatever it says.
    var mostRounds = 0
  }

  init(system: ByzActorSystem, nodes: [GossipHost], plan: ClusterPlan, stragglerFactor: Int) {
    self.system = system
    self.stragglerFactor = stragglerFactor
    self.nodes = nodes
    deadline = plan.deadline
    patience = max(deadline, .seconds(5))
    shape = plan.models.first?.shape ?? []
    byzantine = plan.byzantine
    let topology = plan.topology
    let mostNeighbors = nodes.indices.map { topology.neighborCount(of: $0) }.max() ?? 0
    mostRounds = GossipReport.mostRounds(neighbors: mostNeighbors, in: system)
  }

  func run(rounds: Int) async throws -> [Result<[GossipReport], any Error>] {
    guard rounds <= mostRounds else {
      throw RuntimeError(
        .invalidConfiguration,
        """
        The reports of \(rounds) rounds do not fit into one message of a node in another process: ask for \(mostRounds) at a time.
        """)
    }
    let progress = progress.withLock { progress in
      progress.runs += 1
      return progress
    }
    // Mailboxes of each run its own: nothing of the last one can come into this one.
    // Nobody can say to be host 0.
    var addresses = nodes.map { _ in MailboxAddress(host: 0, name: "lost") }
    var lost: [Int: any Error] = [:]
    var roundsDone = 0
    let patience = patience
    let opened = await ask(Array(nodes.indices)) { number, node in
      let place = try await withDeadline(patience) { try await node.open(run: progress.runs) }
      // In another's name it would get that one's mail; and a long name would go to everyone.
      let name = GossipHost.mailboxName(ofNode: number, run: progress.runs)
      guard place.address == MailboxAddress(host: node.id.host, name: name) else {
        throw RuntimeError(.authenticationFailed, "The node names a mailbox that is not its own.")
      }
      return place
    }
    for (number, opened) in opened {
      switch opened {
      case .success(let place):
        addresses[number] = place.address
        roundsDone = max(roundsDone, min(place.roundsDone, progress.mostRounds))
      case .failure(let error): lost[number] = error
      }
    }
    try Task.checkCancellation()
    let (places, start) = (addresses, roundsDone)
    let (end, isTooFar) = start.addingReportingOverflow(max(0, rounds))
    self.progress.withLock { $0.mostRounds = max($0.mostRounds, isTooFar ? Int.max : end) }
    await withDiscardingTaskGroup { group in
      for number in lost.keys { group.addTask { await self.announce(number, places) } }
    }
    let byzantine = byzantine
    let results = await ask(nodes.indices.filter { lost[$0] == nil }, stragglersOf: rounds) {
      number, node in
      do {
        let reports = try await node.run(rounds: rounds, from: start, addresses: places)
        // Nobody else's, and all of them: whoever reads them counts on it.
        let isPlausible =
          reports.count == rounds
          && zip(reports, start...).allSatisfy {
            $0.record.node == number && $0.record.round == $1
              && $0.isByzantine == byzantine.contains(number)
          }
        guard isPlausible else {
          throw RuntimeError(.malformedMessage, "The node reported other rounds than its own.")
        }
        return reports
      } catch {
        await self.announce(number, places)
        throw error
      }
    }
    try Task.checkCancellation()
    return nodes.indices.compactMap { results[$0] ?? lost[$0].map { .failure($0) } }
  }

  /// What nodes answer. All at once: it takes time to find that one is gone. When the calling task is cancelled, the connections to
  /// those that have not answered after `Liveness.timeout` and the deadline of a round are closed.
  ///
  /// - Parameter rounds: of a run: they are closed, too, when more than half of all nodes have answered, and most of those that are not
  ///   lost, and the others have not after `stragglerFactor` times as long again, or after as many deadlines as there are rounds, and
  ///   `Liveness.timeout` and one deadline. A node that a liar keeps waiting takes its deadline in every round.
  private func ask<Answer: Sendable>(
    _ numbers: [Int], stragglersOf rounds: Int? = nil,
    _ question: @escaping @Sendable (Int, GossipHost) async throws -> Answer
  ) async -> [Int: Result<Answer, any Error>] {
    let unanswered = Monitor(Set(numbers))
    let (nodes, begin) = (nodes, ContinuousClock.now)
    // A node that is told to stop may wait for a neighbor, until the deadline.
    return await system.endingConnectionsWhenCancelled(after: deadline) {
      unanswered.withLock { $0 }.map { nodes[$0].id.host }
    } during: {
      await withTaskGroup(of: (Int, Result<Answer, any Error>).self) { group in
        for number in numbers {
          group.addTask {
            do {
              // Not within the tuple: the optimizer of Swift 6.3 loses the number then.
              let answer = try await question(number, nodes[number])
              return (number, .success(answer))
            } catch {
              return (number, .failure(error))
            }
          }
        }
        var answers: [Int: Result<Answer, any Error>] = [:]
        var ended = 0
        var alarm: Task<Void, Never>?
        defer { alarm?.cancel() }
        for await (number, answer) in group {
          answers[number] = answer
          let left = unanswered.withLock { unanswered in
            unanswered.remove(number)
            return unanswered.count
          }
          if case .success = answer { ended += 1 }
          // Liars alone must not cut short the time of the others.
          guard let rounds, alarm == nil, ended > max(left, nodes.count / 2) else { continue }
          let taken = ContinuousClock.now - begin
          // Of years there is no need to tell how many.
          let year = Duration.seconds(365 * 86_400)
          let deadline = min(deadline, year)
          let limit = min(
            year,
            max(taken * stragglerFactor, deadline * rounds)
              + system.liveness.timeout + deadline)
          alarm = Task { [system] in
            guard (try? await Task.sleep(for: limit)) != nil else { return }
            system.endConnections(
              to: unanswered.withLock { $0 }.map { nodes[$0].id.host },
              because: "Most nodes ended their run, and this one did not within another \(limit).")
          }
        }
        return answers
      }
    }
  }

  /// Tells everyone that a node sends nothing more.
  private func announce(_ number: Int, _ addresses: [MailboxAddress]) async {
    let others = addresses.indices.filter { $0 != number }.map { addresses[$0] }
    // A node that hangs reads no mail.
    let system = system
    _ = try? await withDeadline(.seconds(5)) {
      await system.broadcast(GossipLetter.left(number), to: others)
    }
  }

  func models() async throws -> [Tensor<Float>?] {
    // A minute, and a second for each megabyte: large models take their time over a slow link.
    let byteCount = Double(shape.reduce(4, *)) * Double(nodes.count)
    let (patience, shape) = (patience + .seconds(60 + byteCount / 1e6), shape)
    let models = await ask(Array(nodes.indices)) { _, node in
      let model = try await withDeadline(patience) { try await node.model() }
      let isFinite = model.withUnsafeBufferPointer { $0.allSatisfy(\.isFinite) }
      guard model.shape == shape, isFinite else {
        throw RuntimeError(.malformedMessage, "What the node calls its model is none.")
      }
      return model
    }
    // Not every node was asked then.
    try Task.checkCancellation()
    return nodes.indices.map { try? models[$0]?.get() }
  }

  var lettersPassedOn: Int { system.mailPassedOn }

  func stop() async { await system.stop() }
}
