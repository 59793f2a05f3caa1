import Foundation

/// A promise, what was found, and whether it was kept.
package struct Verdict: Hashable, Sendable {
  package var promise: String
  package var found: String
  /// Nil if the run did not measure it.
  package var isKept: Bool?

  package init(_ promise: String, found: String, isKept: Bool?) {
    self.promise = promise
    self.found = found
    self.isKept = isKept
  }

  /// A promise that each of some values keeps; those that do not are named.
  package init(
    _ promise: String, each values: [(name: String, value: String, isKept: Bool)]
  ) {
    let missed = values.filter { !$0.isKept }
    self.promise = promise
    found =
      values.isEmpty
      ? "not measured"
      : missed.isEmpty
        ? "all \(values.count)"
        : missed.map { "\($0.name) \($0.value)" }.joined(separator: "; ")
    isKept = values.isEmpty ? nil : missed.isEmpty
  }
}

extension [Verdict] {
  package var grid: Grid {
    Grid(
      ["", "promise", "found"], words: [0, 1, 2],
      lines: map { [$0.isKept.map { $0 ? "pass" : "MISS" } ?? "-", $0.promise, $0.found] })
  }
}
