import ByzKit

/// One line of the benchmark: what is timed, on what, beside what, and what it may take.
struct Row: Sendable {
  /// What the row belongs to: one table is printed for each.
  let group: String
  /// Rule and size.
  let name: String
  let subject: Subject
  let n: Int
  let d: Int
  var f = 0
  var data = DataKind.gaussian
  /// The ways to call the subject that take part, in turns.
  var ways: [Way] = [.into]
  /// What takes turns with them on the same bytes.
  var yardstick: Yardstick?
  var limit: Limit?
  /// How many inputs take turns: three or more, so that no call finds its input in the cache because
  /// it has just read it.
  var inputs = 3
  var check: Check
}

/// What is timed.
enum Subject: Sendable {
  case aggregator(any Aggregator)
  case preAggregator(any PreAggregator)
  case attack(any OmniscientAttack)
  case draw(any BlindAttack)
  /// One pass over all pairs.
  case distances
  /// Loss and gradient of a batch of n images.
  case gradient(any Model)
}

/// How a subject is called.
enum Way: String, Codable {
  /// Into new memory.
  case fresh
  /// Into memory that is used again.
  case into
  /// On a pool of two workers, into new memory.
  case pool
}

/// What a row is compared with.
enum Yardstick: String, Codable {
  /// ByzKit's mean of the same vectors, into memory that is used again.
  case mean
  /// OpenBLAS: the upper triangle of X·Xᵀ.
  case ssyrk
  /// One pass of pairwise distances.
  case distances
}

/// What a row may take.
enum Limit: Codable {
  /// Times the yardstick's median.
  case ratio(Double)
  /// For every input by itself: its median over all runs.
  case milliseconds(Double)
}

/// A plain computation: vectors in, vectors out.
typealias Compute = @Sendable ([[Double]]) -> [[Double]]

/// How the first output of each way is checked, so that a wrong answer cannot be fast.
enum Check: Sendable {
  /// Against a plain computation in double precision: within `tolerance` of the largest number of the
  /// result or of a typical input.
  case overall(tolerance: Double, Compute)
  /// The same, each number by itself.
  case each(tolerance: Double, Compute)
  /// Mean 0 and deviation 1, within five standard errors.
  case standardNormal
  /// Loss and gradient against a plain forward pass and its differences.
  case gradient(tolerance: Double)
}
