import ByzKit

/// One line of the benchmark: what is timed, on what, beside what, and how much of it has to be done.
struct Row: Sendable {
  /// As in `Benchmarks/peers/rows.json`, if peers can do it too.
  let name: String
  let subject: Subject
  let n: Int
  let d: Int
  var f = 0
  /// The best known method.
  let method: Floors.Method
  let check: Check
  /// How many inputs take turns: three or more, so that no call finds its input in the cache because another has just read it.
  var inputs = 3
  /// The ways to call the subject that take part.
  var ways = Way.allCases
  /// The data it is tried on.
  var data = DataKind.allCases
  /// What takes turns with them on the same bytes.
  var yardstick = Yardstick.mean
  /// Whether it belongs to the table that other systems are compared in.
  var isPublished = true
  /// What it may take, in times of the yardstick.
  var yardstickLimit: Double?
  /// Whether every input counts by itself, and the slowest for the row: searches.
  var isSearch = false

  var shape: Shape { Shape(n: n, d: d) }
}

/// What is timed.
enum Subject: Sendable {
  case aggregator(any Aggregator)
  case preAggregator(any PreAggregator)
  case attack(any OmniscientAttack)
  case draw(any BlindAttack)
  /// One pass over all pairs.
  case distances
}

/// How a subject is called.
package enum Way: String, CaseIterable, Sendable {
  /// Into new memory, on the calling thread.
  case fresh
  /// Into memory that is used again.
  case into
  case thread1 = "thread:1"
  case thread2 = "thread:2"
  case thread4 = "thread:4"
  /// Child processes that read the input where it lies.
  case process1 = "process:1"
  case process2 = "process:2"
  case process4 = "process:4"
  /// Two child processes, to which the input is copied in every call.
  case process2Heap = "process:2 heap"

  /// Whether the input lies in memory that child processes see.
  var isShared: Bool { [.process1, .process2, .process4].contains(self) }
}

/// What a row is compared with.
enum Yardstick: Sendable {
  /// ByzKit's mean of the same vectors, into memory that is used again: reading all data once.
  case mean
  /// OpenBLAS: the upper triangle of X·Xᵀ.
  case ssyrk
}
