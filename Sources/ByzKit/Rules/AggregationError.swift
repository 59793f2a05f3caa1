/// Why a rule refused its input.
public enum AggregationError: Error, Hashable, Codable, Sendable {
  /// There were no vectors, or they had no coordinates.
  case noVectors
  /// Vector number `index` has another shape than the first.
  case shapesDiffer(first: [Int], other: [Int], index: Int)
  /// The rule does not work for this `n` and `f`; `bound` is what it needs.
  case illegalCount(rule: String, n: Int, f: Int, bound: String)
  /// A parameter is out of its range, whatever the vectors.
  case invalidParameter(rule: String, name: String, value: String, requirement: String)
  /// More vectors hold NaN or infinity than the rule may discard.
  case tooManyNonFinite(count: Int, allowed: Int)
  /// The vector that the rule trusts holds NaN or infinity.
  case referenceNotFinite(index: Int)
  /// An exact search needed more steps than its limit. Raise the limit, lower f, or choose another rule.
  case searchLimitExceeded(rule: String, limit: Int)
  /// The calling task was cancelled while a rule searched or iterated. What runs on a pool or in a graph throws `CancellationError` instead.
  case cancelled(rule: String)
}

extension AggregationError: CustomStringConvertible {
  /// What is wrong, with the number to change.
  public var description: String {
    switch self {
    case .noVectors: "There are no vectors to work on, or they have no coordinates."
    case .shapesDiffer(let first, let other, let index):
      "All vectors must have one shape: number 0 has \(first), number \(index) has \(other)."
    case .illegalCount(let rule, let n, let f, let bound):
      "\(rule) cannot tolerate f = \(f) of n = \(n) vectors: it requires \(bound)."
    case .invalidParameter(let rule, let name, let value, let requirement):
      "\(rule): \(name) = \(value) is not allowed; it must be \(requirement)."
    case .tooManyNonFinite(let count, let allowed):
      "\(count) vectors hold NaN or infinity, but at most \(allowed) may."
    case .referenceNotFinite(let index):
      "The trusted vector, number \(index), holds NaN or infinity."
    case .searchLimitExceeded(let rule, let limit):
      "\(rule) gave up after \(limit) search steps: raise the limit, lower f, or choose another rule."
    case .cancelled(let rule): "\(rule) stopped because its caller was cancelled."
    }
  }
}

extension AggregationError {
  /// The same complaint as made by a tensor.
  init(_ error: TensorError) {
    self =
      switch error {
      case .shapesDiffer(let first, let other, let row):
        .shapesDiffer(first: first, other: other, index: row)
      case .invalidShape, .wrongCount: .noVectors
      }
  }
}
