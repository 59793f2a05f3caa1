import Foundation

/// Everything one run of the rows found.
package struct RowReport: Sendable {
  package var results: [RowResult] = []
  /// The peers that took part, in the order of their columns.
  package var peers: [String] = []
  /// What the rows that train found.
  package var training: [TrainingResult] = []

  package init(results: [RowResult] = [], peers: [String] = [], training: [TrainingResult] = []) {
    self.results = results
    self.peers = peers
    self.training = training
  }

  /// ByzKit by itself.
  package var ownGrid: Grid {
    let ways = Way.allCases.dropFirst(2)
    var grid = Grid(
      ["row", "data", "ms", "min", "into", "floor", "x", "min x", "bound by", "2 cores"]
        + ways.map(\.rawValue) + ["RssAnon MiB", "faults"], words: [0, 1, 8])
    for result in results where result.isPublished {
      let cells =
        [
          result.row, result.data.rawValue, digits(result.own.median), digits(result.own.minimum),
          digits(result.ways[.into]?.median), digits(result.floor.seconds),
          ratio(result.floorRatio), ratio(result.own.minimum / result.floor.seconds),
          result.floor.bound.rawValue, ratio(result.gainOfTwo),
        ] + ways.map { digits(result.ways[$0]?.median) }
      grid.lines.append(
        cells + [String(format: "%.1f", result.rssAnonMiB), String(Int(result.pageFaults))])
    }
    return grid
  }

  /// ByzKit beside the others: their times, and how many of ByzKit's that is, by medians and by minima.
  package var peerGrid: Grid {
    var grid = Grid(["row", "data", "ms"] + peers, words: [0, 1])
    for result in results where result.isPublished {
      let cells = peers.map { name in
        guard let peer = result.peers[name] else { return Self.short(result.notes[name]) }
        let ratios = [
          peer.median / result.own.median, peer.minimum / result.own.minimum,
        ].map(ratio)
        return "\(digits(peer.median)) (\(ratios[0]), \(ratios[1]))"
      }
      grid.lines.append([result.row, result.data.rawValue, digits(result.own.median)] + cells)
    }
    return grid
  }

  /// What each floor counts: mebibytes, and millions of operations.
  package var workGrid: Grid {
    var grid = Grid(
      [
        "row", "MiB read", "read again", "MiB written", "multiply-adds", "differences", "min/max",
        "transcendental",
      ], words: [0])
    var rows: Set<String> = []
    for result in results where rows.insert(result.row).inserted {
      let work = result.work
      let counts = [work.multiplyAdds, work.squaredDifferences, work.minMax, work.transcendentals]
      grid.lines.append(
        [result.row]
          + [work.bytesRead, work.bytesReadAgain, work.bytesWritten].map {
            String(format: "%.2f", $0 / 1_048_576)
          }
          + counts.map { $0 == 0 ? "" : String(format: "%.2f", $0 / 1e6) })
    }
    return grid
  }

  /// Rows beside a yardstick.
  package var yardstickGrid: Grid {
    var grid = Grid(
      ["row", "data", "ms", "min", "yardstick ms", "ratio", "limit", "floor", "x", "bound by"],
      words: [0, 1, 9])
    for result in results where !result.isPublished {
      let own = result.ways[.into] ?? result.own
      grid.lines.append([
        result.row, result.data.rawValue, digits(own.median), digits(own.minimum),
        digits(result.yardstick?.median), ratio(result.yardstickRatio),
        ratio(result.yardstickLimit), digits(result.floor.seconds),
        ratio(own.median / result.floor.seconds), result.floor.bound.rawValue,
      ])
    }
    return grid
  }

  /// The rows that train.
  package var trainingGrid: Grid {
    let names = training.reduce(into: [String]()) { names, result in
      names += result.peers.keys.filter { !names.contains($0) }.sorted()
    }
    var grid = Grid(["row", "ms", "min", "floor", "x", "aggregation"] + names)
    for result in training {
      grid.lines.append(
        [
          result.row, digits(result.own.median), digits(result.own.minimum),
          digits(result.floor.seconds), ratio(result.own.median / result.floor.seconds),
          result.aggregation.map { String(format: "%.1f %%", 100 * $0) } ?? "",
        ]
          + names.map { name in
            result.peers[name].map {
              "\(digits($0.median)) (\(ratio($0.median / result.own.median)))"
            } ?? Self.short(result.notes[name])
          })
    }
    return grid
  }

  /// The first words of why there is no time.
  private static func short(_ note: String?) -> String {
    guard let note else { return "" }
    return String(note.prefix { $0 != ":" && $0 != "\n" }.prefix(24))
  }
}

/// Milliseconds.
package func digits(_ seconds: Double?) -> String {
  guard let seconds, seconds.isFinite else { return "" }
  let value = 1e3 * seconds
  return String(format: value < 10 ? "%.3f" : value < 100 ? "%.2f" : "%.0f", value)
}

package func ratio(_ value: Double?) -> String {
  guard let value, value.isFinite else { return "" }
  return String(format: value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value)
}
