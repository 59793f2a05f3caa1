public import ByzRuntime
import ByzTensor
public import Distributed

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
  }

  private let node: DecentralizedNode
  private let topology: Topology
  private var inbox: Mailbox<GossipLetter>?

  /// Makes the node.
  ///
  /// - Throws: as ``DecentralizedNode``'s initializer.
  public init(_ arguments: Arguments, actorSystem: ByzActorSystem) throws {
    topology = arguments.topology
    node = try DecentralizedNode(
      arguments.number, Participant(arguments.participant), in: arguments.topology,
      parameters: arguments.model, mode: arguments.mode, accomplices: arguments.accomplices,
      deadline: arguments.deadline)
    self.actorSystem = actorSystem
  }

  /// Opens a mailbox for a run, and says where it is.
  distributed func open(run: Int) throws -> MailboxAddress {
    // Two letters of each neighbor: one of this round, one of the next.
    let inbox = try actorSystem.mailbox(
      named: "gossip-\(node.number)-\(run)", of: GossipLetter.self,
      capacity: 2 * max(1, topology.inNeighbors(of: node.number).count))
    self.inbox?.close()
    self.inbox = inbox
    return inbox.address
  }

  /// Runs rounds with the nodes whose mailboxes these are.
  distributed func run(rounds: Int, addresses: [MailboxAddress]) async throws -> [GossipReport] {
    guard let inbox else { throw RuntimeError(.unknownTarget, "The run was not opened.") }
    let mail = try NeighborMailboxes(
      of: node.number, among: addresses, in: topology, actorSystem)
    let transport = MailboxTransport(inbox: inbox, mail: mail, deadline: node.deadline)
    do {
      let reports = try await node.run(rounds: rounds, over: transport)
      await transport.leave()
      return reports
    } catch {
      await transport.leave()
      throw error
    }
  }

  /// The model after the last round that ended.
  distributed func model() async -> Tensor<Float> { await node.parameters }
}
