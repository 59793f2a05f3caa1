/// A subtask that tells which part of its operands it touches, so that only that part travels.
package protocol FootprintSubtask: Subtask {
  /// The columns of the rows and of the outputs that it touches; nil for all.
  var columns: Range<Int>? { get }
  /// The rows of the outputs that it writes; nil for all.
  var outputRows: Range<Int>? { get }
  /// The residents it asks for.
  var residents: [Int] { get }

  /// The same work where column `columns.lowerBound` has become column 0.
  func moved() -> Self

  /// Refuses operands that it would read or write beyond the end of, and work whose result is beyond the limits: both came from
  /// another process.
  func check(_ operands: Operands, limits: WireLimits) throws
}

extension FootprintSubtask {
  package var columns: Range<Int>? { nil }
  package var outputRows: Range<Int>? { nil }
  package var residents: [Int] { [] }
  package func moved() -> Self { self }
  package func check(_ operands: Operands, limits: WireLimits) throws {}
}
