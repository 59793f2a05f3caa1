/// When a node has heard enough of its neighbors to end a round.
public struct GossipMode: Hashable, Codable, Sendable {
  /// How many neighbors' vectors a round needs; nil for ``quorum(of:)``, or those of all that are still there.
  let quorum: Int?
  /// How many rounds behind its own a node takes a vector from; nil when rounds are in step.
  let staleness: Int?

  private init(quorum: Int?, staleness: Int?) {
    self.quorum = quorum
    self.staleness = staleness
  }

  /// Rounds in step: a node uses its neighbors' vectors of its own round, and waits for all
  /// neighbors that are still there. At a deadline it goes on if no more than a third of those are missing, rounded down: as many
  /// liars that say nothing, or as many honest nodes that are late while the liars are not, leave a majority of honest vectors.
  public static let synchronous = GossipMode(quorum: nil, staleness: nil)

  /// Rounds in step, and a deadline that is met by `quorum` neighbors: with those, a node goes on
  /// when its time is over. Fewer are never aggregated, even when no more can come.
  public static func synchronous(quorum: Int) -> GossipMode {
    GossipMode(quorum: quorum, staleness: nil)
  }

  /// Each node at its own pace: it goes on as soon as it has, of `quorum` neighbors, a vector that
  /// is at most `staleness` rounds older than its own round.
  ///
  /// It uses the latest vector of each neighbor, whether that neighbor is behind or ahead, and uses
  /// it again in the next round if nothing newer has come and it is not too old then. Nor does it wait for neighbors to take
  /// in what it sends: one that has not yet done so gets the newest vector next, and none of those between.
  ///
  /// Neighbors that lie can send vectors that never grow old: with a quorum of no more than there are such neighbors, a node may wait for
  /// no other. With one of 0, or where a node hears nobody, it runs through its rounds at once.
  public static func asynchronous(quorum: Int, staleness: Int) -> GossipMode {
    GossipMode(quorum: quorum, staleness: staleness)
  }

  /// How many of the neighbors that a node may hear are enough at a deadline.
  func quorum(of neighbors: Int) -> Int { quorum ?? neighbors - neighbors / 3 }

  /// Whether rounds are in step.
  public var isInStep: Bool { staleness == nil }

  /// The same for a node with so many neighbors that cannot be asked for more.
  func within(neighbors: Int) -> GossipMode {
    GossipMode(quorum: quorum.map { min($0, neighbors) }, staleness: staleness)
  }

  /// Throws unless counts are not negative and a node with `neighbors` neighbors can reach the
  /// quorum.
  func validate(node: Int, neighbors: Int) throws(PeerToPeerError) {
    if let quorum, quorum < 0 || quorum > neighbors {
      throw .impossibleQuorum(node: node, quorum: quorum, neighbors: neighbors)
    }
    if let staleness, staleness < 0 { throw .negativeStaleness(staleness) }
  }
}
