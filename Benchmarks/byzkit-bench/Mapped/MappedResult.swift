import Foundation

/// What was found about one rule on a mapped file, in seconds and MiB.
package struct MappedResult: Sendable {
  package var rule: String
  package var passes: Int
  package var heap: Double?
  package var cached: Double?
  /// Times with nothing in memory: the rule's, and of reading the file as often as the rule has to, right before.
  package var fromDisk: [(rule: Double, reading: Double)] = []
  package var rssAnonShort = 0.0
  package var rssAnonLong = 0.0

  package init(rule: String, passes: Int) {
    self.rule = rule
    self.passes = passes
  }

  /// The mapped file's speed as a share of memory's.
  package var cachedShare: Double? {
    guard let heap, let cached else { return nil }
    return heap / cached
  }
  var cold: Double { Times.median(fromDisk.map(\.rule)) }
  var reading: Double { Times.median(fromDisk.map(\.reading)) }
  /// The rule's speed as a share of the disk's, by the median of the pairs.
  package var diskShare: Double { Times.median(fromDisk.map { $0.reading / $0.rule }) }

  var cells: [String] {
    [
      rule, "\(passes)", digits(heap), digits(cached), ratio(cachedShare), digits(cold),
      digits(reading),
      ratio(diskShare), String(format: "%.1f", rssAnonShort), String(format: "%.1f", rssAnonLong),
    ]
  }
  var line: String { cells.joined(separator: "  ") }
}

extension [MappedResult] {
  var grid: Grid {
    Grid(
      [
        "rule", "passes", "heap ms", "cached ms", "share", "cold ms", "read ms", "of disk rate",
        "RssAnon MiB, short", "long",
      ], lines: map(\.cells))
  }

  /// Anonymous memory may differ by a cache of freed memory, not by a share of the input.
  package var verdicts: [Verdict] {
    [
      Verdict(
        "mapped >= 60 % of the speed on memory when the file is in the page cache",
        each: compactMap { result in
          result.cachedShare.map { (result.rule, ratio($0), $0 >= 0.6) }
        }),
      Verdict(
        "from the disk >= 60 % of its read rate",
        each: map { ($0.rule, ratio($0.diskShare), $0.diskShare >= 0.6) }),
      Verdict(
        "anonymous memory within 16 MiB, however long the vectors",
        each: map {
          (
            $0.rule, String(format: "%.1f MiB", $0.rssAnonLong - $0.rssAnonShort),
            abs($0.rssAnonLong - $0.rssAnonShort) <= 16
          )
        }),
    ]
  }
}
