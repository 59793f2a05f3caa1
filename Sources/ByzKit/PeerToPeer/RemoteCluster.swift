public import ByzRuntime

/// Nodes in processes of their own: children, or processes on other hosts, in turn.
///
/// Each node has its own scheduler and its own process, and sends its vectors to its neighbors directly: hosts connect to each other,
/// and the process that started the nodes hands out topology and addresses and takes no part in the learning. Only between nodes that
/// cannot reach each other it passes the mail on; ``Cluster/lettersPassedOn`` counts that.
public struct RemoteCluster: ClusterBackend {
  private let backends: [any WorkerBackend]
  private let liveness: Liveness

  /// Nodes on `backends`, in turn.
  public init(_ backends: [any WorkerBackend], liveness: Liveness = Liveness()) {
    self.backends = backends
    self.liveness = liveness
  }

  /// Starts a process for each node and makes the nodes there.
  ///
  /// - Throws: ``PeerToPeerError/notSpecified(node:)`` for a participant that was not made from a
  ///   ``ParticipantSpecification``, and what starting throws.
  public func start(_ plan: ClusterPlan) async throws -> any Cluster {
    try plan.validate()
    let n = plan.topology.nodeCount
    guard !backends.isEmpty else {
      throw RuntimeError(.invalidConfiguration, "A cluster needs at least one host.")
    }
    for backend in backends where !(backend is any LinkBackend) {
      throw RuntimeError(
        .invalidConfiguration,
        "Each node needs a process of its own, which \(backend.name) does not give: use .inProcess for nodes in this one."
      )
    }
    let system = ByzActorSystem(registry: .byzKit, liveness: liveness)
    do {
      let nodes = try await withThrowingTaskGroup(of: (Int, GossipHost).self) { group in
        for (number, participant) in plan.participants.enumerated() {
          guard let specification = participant.specification else {
            throw PeerToPeerError.notSpecified(node: number)
          }
          let arguments = GossipHost.Arguments(
            number: number, participant: specification, topology: plan.topology,
            model: plan.models[number], mode: plan.mode, accomplices: plan.byzantine,
            deadline: plan.deadline, threads: plan.threads, starter: system.host)
          let backend = backends[number % backends.count]
          group.addTask { (number, try await spawn(arguments, on: backend, in: system)) }
        }
        var nodes: [Int: GossipHost] = [:]
        for try await (number, node) in group { nodes[number] = node }
        return (0..<n).compactMap { nodes[$0] }
      }
      return RemoteNodes(system: system, nodes: nodes, deadline: plan.deadline)
    } catch {
      await system.stop()
      throw error
    }
  }
}

private func spawn(
  _ arguments: GossipHost.Arguments, on backend: some WorkerBackend, in system: ByzActorSystem
) async throws -> GossipHost {
  try await system.spawn(GossipHost.self, arguments, on: backend)
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
  /// How long a node that still ends its last run is waited for.
  private let deadline: Duration
  private let progress = Monitor(Progress())

  private struct Progress: Sendable {
    var runs = 0
    /// What was asked for so far: no node has done more, whatever it says.
    var mostRounds = 0
  }

  init(system: ByzActorSystem, nodes: [GossipHost], deadline: Duration) {
    self.system = system
    self.nodes = nodes
    self.deadline = deadline
  }

  func run(rounds: Int) async throws -> [Result<[GossipReport], any Error>] {
    let progress = progress.withLock { progress in
      progress.runs += 1
      return progress
    }
    // Mailboxes of each run its own: nothing of the last one can come into this one.
    var addresses: [MailboxAddress] = []
    var lost: [Int: any Error] = [:]
    var roundsDone = 0
    let deadline = deadline
    let opened = await ask { node in
      let place = try await withDeadline(deadline) { try await node.open(run: progress.runs) }
      // In another's name it would get that one's mail.
      guard place.address.host == node.id.host else {
        throw RuntimeError(.authenticationFailed, "The node names a mailbox that is not its own.")
      }
      return place
    }
    for (number, opened) in opened.enumerated() {
      switch opened {
      case .success(let place):
        addresses.append(place.address)
        roundsDone = max(roundsDone, min(place.roundsDone, progress.mostRounds))
      case .failure(let error):
        lost[number] = error
        addresses.append(MailboxAddress(host: 0, name: "lost"))
      }
    }
    let (places, start) = (addresses, roundsDone)
    let (end, isTooFar) = start.addingReportingOverflow(max(0, rounds))
    self.progress.withLock { $0.mostRounds = max($0.mostRounds, isTooFar ? Int.max : end) }
    for number in lost.keys { await announce(number, places) }
    let results = await withTaskGroup(of: (Int, Result<[GossipReport], any Error>).self) { group in
      for (number, node) in nodes.enumerated() where lost[number] == nil {
        group.addTask {
          do {
            // Not within the tuple: the optimizer of Swift 6.3 loses the number then.
            let reports = try await node.run(rounds: rounds, from: start, addresses: places)
            return (number, .success(reports))
          } catch {
            return (number, .failure(error))
          }
        }
      }
      var results: [Int: Result<[GossipReport], any Error>] = lost.mapValues { .failure($0) }
      for await (number, result) in group {
        results[number] = result
        if case .failure = result { await announce(number, places) }
      }
      return nodes.indices.compactMap { results[$0] }
    }
    try Task.checkCancellation()
    return results
  }

  /// What each node answers. All at once: it takes time to find that one is gone.
  private func ask<Answer: Sendable>(
    _ question: @escaping @Sendable (GossipHost) async throws -> Answer
  ) async -> [Result<Answer, any Error>] {
    await withTaskGroup(of: (Int, Result<Answer, any Error>).self) { group in
      for (number, node) in nodes.enumerated() {
        group.addTask {
          do {
            // Not within the tuple: the optimizer of Swift 6.3 loses the number then.
            let answer = try await question(node)
            return (number, .success(answer))
          } catch {
            return (number, .failure(error))
          }
        }
      }
      var answers: [Int: Result<Answer, any Error>] = [:]
      for await (number, answer) in group { answers[number] = answer }
      return nodes.indices.compactMap { answers[$0] }
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
    let models = await ask { try await $0.model() }.map { try? $0.get() }
    // Not every node was asked then.
    try Task.checkCancellation()
    return models
  }

  var lettersPassedOn: Int { system.mailPassedOn }

  func stop() async { await system.stop() }
}
