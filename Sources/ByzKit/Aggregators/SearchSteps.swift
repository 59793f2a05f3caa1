/// Why a search ended without an answer.
enum SearchStop: Error { case limit, cancelled }

/// Counts the steps of a search.
struct SearchSteps {
  private let limit: Int
  private var count = 0

  init(limit: Int) { self.limit = limit }

  /// One more; ends the search at the limit, and soon after the calling task is cancelled.
  mutating func take() throws(SearchStop) {
    count += 1
    guard count <= limit else { throw .limit }
    // Now and then only: a step can take less than a microsecond.
    if count % 1024 == 0, Task.isCancelled { throw .cancelled }
  }
}

extension AggregationError {
  /// What a rule says when its search has stopped.
  init(_ stop: SearchStop, rule: String, limit: Int) {
    self =
      switch stop {
      case .limit: .searchLimitExceeded(rule: rule, limit: limit)
      case .cancelled: .cancelled(rule: rule)
      }
  }
}

extension Aggregator {
  /// Ends an iteration of many vectors, or of many steps, soon after the calling task is cancelled.
  func checkCancellation() throws(AggregationError) {
    if Task.isCancelled { throw .cancelled(rule: name) }
  }
}
