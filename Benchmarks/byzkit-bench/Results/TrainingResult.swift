/// What was found about a row that trains.
package struct TrainingResult: Sendable {
  package var row: String
  package var own: Timing
  /// On as many cores as the row has.
  package var floor: Floor
  /// The share of the time that is spent on aggregation; nil where there is none.
  package var aggregation: Double?
  package var peers: [String: Timing] = [:]
  package var notes: [String: String] = [:]
  package var pools: [Way: Timing] = [:]
  package var rssAnonMiB = 0.0
  package var pageFaults = 0.0

  package init(row: String, own: Timing, floor: Floor, aggregation: Double? = nil) {
    self.row = row
    self.own = own
    self.floor = floor
    self.aggregation = aggregation
  }
}
