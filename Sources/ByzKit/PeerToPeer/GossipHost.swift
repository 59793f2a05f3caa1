public import ByzRuntime
import ByzTensor
public import Distributed
import Foundation

/// One node of a cluster in a process of its own.
public distributed actor GossipHost: RemoteActor {
  /// Spawns and calls it.
  public typealias ActorSystem = ByzActorSystem

  /// What a node is made of.
  public struct Arguments: Codable, Sendable {
    let number: Int
    let participant: ParticipantSpecification
    let topology: Topology
    let model: Tensor<Float>
    let mode: GossipMode
    let accomplices: Set<Int>
    let deadline: Duration
    let threads: Int
    /// The process that started the nodes.
    let starter: UInt64
  }

  /// What a node says before a run.
  package struct Place: Codable, Sendable {
    /// Where it is told of nodes that are lost. What neighbors send goes to mailboxes beside it.
    package let address: MailboxAddress
    let roundsDone: Int
  }

  private let node: DecentralizedNode
  private let topology: Topology
  private let starter: UInt64
  private let threads: Int
  private var notices: Mailbox<GossipLetter>?
  /// By sender.
  private var inboxes: [Int: Mailbox<GossipLetter>] = [:]
  /// Settled when the last run is over.
  private var lastRun: Promise<Void>?

  /// Makes the node.
  ///
  /// - Throws: as ``DecentralizedNode``'s initializer; `RuntimeError` for too many threads.
  public init(_ arguments: Arguments, actorSystem: ByzActorSystem) throws {
    try ClusterPlan.validate(threads: arguments.threads)
    // More than the machine has processors are of no use, and whoever asks for them is somebody else.
    threads = min(arguments.threads, ProcessInfo.processInfo.activeProcessorCount)
    topology = arguments.topology
    starter = arguments.starter
    node = try DecentralizedNode(
      arguments.number, Participant(arguments.participant), in: arguments.topology,
      parameters: arguments.model, mode: arguments.mode, accomplices: arguments.accomplices,
      deadline: arguments.deadline)
    self.actorSystem = actorSystem
  }

  /// What a node calls its mailbox during a run.
  static func mailboxName(ofNode number: Int, run: Int) -> String { "gossip-\(number)-\(run)" }

  /// Opens mailboxes for a run, and says where they are.
  package distributed func open(run: Int) async throws -> Place {
    // One that was cancelled because a connection broke ends soon.
    _ = await lastRun?.result
    self.notices?.close()
    for inbox in inboxes.values { inbox.close() }
    inboxes = [:]
    let box = try actorSystem.mailbox(
      named: Self.mailboxName(ofNode: node.number, run: run), of: GossipLetter.self,
      capacity: topology.nodeCount)
    self.notices = box
    for neighbor in topology.inNeighbors(of: node.number) {
      // Two letters: one of this round, one of the next.
      inboxes[neighbor] = try actorSystem.mailbox(
        named: box.address.forMail(of: neighbor).name, of: GossipLetter.self, capacity: 2)
    }
    let roundsDone = await node.roundsDone
    return Place(address: box.address, roundsDone: roundsDone)
  }

  /// Runs rounds, from this one on, with the nodes that are at these places.
  package distributed func run(
    rounds: Int, from start: Int, addresses: [MailboxAddress]
  ) async throws -> [GossipReport] {
    guard let notices else { throw RuntimeError(.unknownTarget, "The run was not opened.") }
    let number = node.number
    // Reports are kept until the end, and alone a node passes round after round.
    let mostRounds = GossipReport.mostRounds(
      neighbors: topology.neighborCount(of: number), in: actorSystem)
    guard rounds <= mostRounds else {
      throw RuntimeError(
        .limitExceeded,
        "The reports of \(rounds) rounds do not fit into one message: ask for \(mostRounds) at a time."
      )
    }
    let mail = try NeighborMailboxes(
      of: number, among: addresses.map { $0.forMail(of: number) }, in: topology, actorSystem)
    let transport = MailboxTransport(
      inboxes: inboxes, mail: mail, deadline: node.deadline, starter: starter)
    let thisRun = Promise<Void>()
    lastRun = thisRun
    defer { thisRun.settle(.success(())) }
    async let heeded: Void = transport.heed(notices)
    let result: Result<[GossipReport], any Error>
    do {
      let reports = try await node.run(
        rounds: rounds, from: start, over: transport, threads: threads)
      result = .success(reports.listing(atMost: GossipReport.maxDroppedInRun(in: actorSystem)))
    } catch {
      result = .failure(error)
    }
    notices.close()
    await heeded
    await transport.leave()
    return try result.get()
  }

  /// The model after the last round that ended.
  distributed func model() async -> Tensor<Float> { await node.parameters }
}

extension GossipHost.Arguments {
  /// What a node of a plan is made of.
  ///
  /// - Throws: ``PeerToPeerError/notSpecified(node:)`` for a participant that was not made from a ``ParticipantSpecification``.
  package init(
    node number: Int, of plan: ClusterPlan, starter: UInt64
  ) throws(PeerToPeerError) {
    guard let specification = plan.participants[number].specification else {
      throw .notSpecified(node: number)
    }
    self.init(
      number: number, participant: specification, topology: plan.topology,
      model: plan.models[number], mode: plan.mode, accomplices: plan.byzantine,
      deadline: plan.deadline, threads: plan.threads, starter: starter)
  }
}

extension MailboxAddress {
  /// Where a node takes what one neighbor sends.
  fileprivate func forMail(of sender: Int) -> MailboxAddress {
    MailboxAddress(host: host, name: "\(name)-\(sender)")
  }
}
