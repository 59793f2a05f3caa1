import ByzKit
import Foundation

/// One row on all its data, with the peers that can do it.
struct RowRun {
  let row: Row
  let data: [DataKind]
  let rounds: Int
  let seconds: Double
  let environment: PeerEnvironment?
  let scratch: Scratch
  let arithmetic: Rates

  /// Prepares the row and its peers, checks all answers, and times everything in turns.
  func measure(on pools: Pools) async throws -> [RowResult] {
    try await scratch.withFolder { folder in
      let prepared = try data.map {
        try PreparedRow(row, on: $0, pools: pools, arithmetic: arithmetic)
      }
      let starting = try startPeers(prepared, in: folder)
      // The peers warm up in the meantime.
      var wrong: [DataKind: String] = [:]
      for (kind, part) in zip(data, prepared) {
        do { try await part.check() } catch { wrong[kind] = "\(error)" }
      }
      let group = PeerGroup(starting)
      defer { group.stop() }
      var results: [RowResult] = []
      for (index, part) in prepared.enumerated() {
        var result = try await part.measure(
          rounds: rounds, seconds: seconds, peers: group.contestants(from: index * row.inputs))
        result.notes.merge(group.notes) { $1 }
        result.wrong = wrong[data[index]]
        results.append(result)
      }
      return results
    }
  }

  private func startPeers(_ prepared: [PreparedRow], in folder: URL) throws -> [Peer] {
    guard row.isPublished, let environment,
      let names = environment.rows.first(where: { $0.name == row.name })?.peers
    else { return [] }
    let files = try prepared.flatMap { try $0.export(to: folder) }
    return try names.flatMap { name -> [Peer] in
      if name == "krum", !environment.hasKrum { return [] }
      let pools = name == "byzpy" ? [nil, "thread:2", "process:2"] : [nil]
      return try pools.map {
        try Peer(name, pool: $0, row: ["row": row.name], data: files, environment: environment)
      }
    }
  }
}
