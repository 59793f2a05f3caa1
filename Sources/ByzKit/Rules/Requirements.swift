// The checks that rules share, each with the complaint that belongs to it.
extension Rule {
  /// n ≥ 1 and 0 ≤ f and the bound that the rule states.
  func require(
    n: Int, f: Int = 0, _ bound: LegalCounts
  ) throws(AggregationError) {
    guard n > 0 else { throw .noVectors }
    guard bound.allows(n: n, f: f) else {
      throw .illegalCount(rule: name, n: n, f: f, bound: bound.description)
    }
  }

  func require(
    _ condition: Bool, _ parameter: String, _ value: some Any, _ requirement: String
  ) throws(AggregationError) {
    guard condition else {
      throw .invalidParameter(
        rule: name, name: parameter, value: "\(value)", requirement: requirement)
    }
  }
}
