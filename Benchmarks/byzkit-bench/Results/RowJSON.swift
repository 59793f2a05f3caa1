import Foundation

extension RowReport {
  /// What `--json` writes: one object for each row and kind of data.
  ///
  /// ```
  /// {row, ms, minMs, floorMs, pools: {"thread:2": ms, …}, rssAnonMiB, pageFaults, peers: {byzpy, byzfl, torch, numpy, krum}}
  /// ```
  ///
  /// Rows on other data than Gaussian are called "ROW, DATA". A number that was not measured is null.
  package func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    return try encoder.encode(results.map(RowObject.init) + training.map(RowObject.init))
  }
}

private struct RowObject: Encodable {
  let row: String
  let ms, minMs, floorMs: Double?
  let pools: [String: Double?]
  let rssAnonMiB, pageFaults: Double?
  let peers: [String: Double?]

  /// The libraries, whether they took part or not.
  private static let libraries = ["byzpy", "byzfl", "torch", "numpy", "krum"]

  init(_ result: RowResult) {
    row = result.data == .gaussian ? result.row : "\(result.row), \(result.data.rawValue)"
    let own = result.isPublished ? result.own : result.ways[.into] ?? result.own
    (ms, minMs) = (milliseconds(own.median), milliseconds(own.minimum))
    floorMs = milliseconds(result.floor.seconds)
    pools = Self.pools(result.ways)
    (rssAnonMiB, pageFaults) = (result.rssAnonMiB, result.pageFaults)
    peers = Self.peers(result.peers)
  }

  init(_ result: TrainingResult) {
    row = result.row
    (ms, minMs) = (milliseconds(result.own.median), milliseconds(result.own.minimum))
    floorMs = milliseconds(result.floor.seconds)
    pools = Self.pools(result.pools)
    (rssAnonMiB, pageFaults) = (result.rssAnonMiB, result.pageFaults)
    peers = Self.peers(result.peers)
  }

  private static func pools(_ ways: [Way: Timing]) -> [String: Double?] {
    var pools: [String: Double?] = [:]
    for (way, timing) in ways where way != .fresh && way != .into {
      pools[way.rawValue] = milliseconds(timing.median)
    }
    return pools
  }

  private static func peers(_ timings: [String: Timing]) -> [String: Double?] {
    var peers: [String: Double?] = [:]
    for name in libraries { peers[name] = .some(nil) }
    for (name, timing) in timings { peers[name] = milliseconds(timing.median) }
    return peers
  }
}

private func milliseconds(_ seconds: Double) -> Double? {
  seconds.isFinite ? (seconds * 1e7).rounded() / 1e4 : nil
}
