/// What was found about one row on one kind of data.
package struct RowResult: Sendable {
  package var row: String
  package var data: DataKind
  /// Whether it is one of the rows other systems are compared in.
  package var isPublished = true
  package var n: Int
  /// ByzKit, in each way that there is.
  package var ways: [Way: Timing]
  package var floor: Floor
  /// What the floor counts.
  package var work = Work()
  /// A mean of the data, which reads it once, or what else the row is compared with.
  package var yardstick: Timing?
  package var yardstickLimit: Double?
  /// The floor of the yardstick, where that is a mean.
  package var meanFloor: Floor?
  /// Peers by name: `byzpy`, `byzpy process:2`, …
  package var peers: [String: Timing] = [:]
  /// Why a peer has no time.
  package var notes: [String: String] = [:]
  /// Why its answer is not what it should be.
  package var wrong: String?
  /// What two cores gain over one in what bounds the row.
  package var gainOfTwo: Double
  /// Anonymous memory that a call into new memory needs, its output included.
  package var rssAnonMiB: Double
  /// Page faults of such a call.
  package var pageFaults: Double

  package init(
    row: String, data: DataKind, n: Int, ways: [Way: Timing], floor: Floor, gainOfTwo: Double,
    rssAnonMiB: Double = 0, pageFaults: Double = 0
  ) {
    self.row = row
    self.data = data
    self.n = n
    self.ways = ways
    self.floor = floor
    self.gainOfTwo = gainOfTwo
    self.rssAnonMiB = rssAnonMiB
    self.pageFaults = pageFaults
  }

  /// The direct call into new memory: what peers are compared with.
  package var own: Timing { ways[.fresh] ?? Timing(median: .nan, minimum: .nan) }
  package var floorRatio: Double { own.median / floor.seconds }
  package var yardstickRatio: Double? {
    yardstick.map { (ways[.into] ?? own).median / $0.median }
  }
  /// The fastest of some peers.
  package func fastest(of names: [String]) -> Timing? {
    names.compactMap { peers[$0] }.min { $0.median < $1.median }
  }
}
