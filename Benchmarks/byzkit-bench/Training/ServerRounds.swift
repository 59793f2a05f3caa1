import ByzKit
import Foundation

/// Rounds of a parameter server: ten honest nodes, three that send the negative mean, Multi-Krum, the example's network, batches
/// of 64. Beside the same training in other libraries.
struct ServerRounds {
  private static let (honest, f, q, batch) = (10, 3, 10, 64)
  private static let peerRow = "ParameterServer MultiKrum 10+3 f3 q10"

  let rounds: Int
  /// How many cores it may use, and the others too.
  let cores: Int
  let environment: PeerEnvironment?
  let arithmetic: Rates

  private var name: String { Self.peerRow + (cores == 1 ? "" : ", \(cores) cores") }

  func measure(on pools: Pools) async throws -> TrainingResult {
    let names = environment?.rows.first { $0.name == Self.peerRow }?.peers ?? []
    let starting = try names.flatMap { name in
      try environment.map {
        try Peer(
          name, row: ["row": Self.peerRow, "threads": cores], data: [], environment: $0)
      }.map { [$0] } ?? []
    }
    let nodes = try Self.nodes()
    // One core: also what pools make of it. Two: the pool of two threads by itself.
    let ways: [Way] = cores == 1 ? [.fresh, .thread2, .process2] : [.thread2]
    let own = try ways.map { try Self.contestant($0, pool: pools[$0], honest: nodes) }
    let aggregation = try Self.aggregation(pool: cores == 1 ? nil : pools[.thread2])
    let group = PeerGroup(starting)
    defer { group.stop() }
    let before = Usage.current
    _ = try await own[0].run(0)
    let after = Usage.current
    let found = await Contestant.measure(
      own + [aggregation] + group.contestants(from: 0), inputs: 1, rounds: rounds, seconds: 12)
    for result in found.prefix(own.count + 1) { if let error = result.error { throw error } }
    let timings = found.map { Timing($0.times) }
    let input = try Input(
      .gaussian, n: Self.honest + Self.f, d: 421_642, f: 0, seed: 0, isShared: false)
    var floor = [input].withBytes { arithmetic.withMemory(reading: $0, writing: 1 << 21) }.floor(
      of: Floors.parameterServerRound(
        honest: Self.honest, f: Self.f, q: Self.q, images: Self.batch))
    floor.seconds /= Double(cores)
    var result = TrainingResult(row: name, own: timings[0], floor: floor)
    result.aggregation = timings[own.count].median / timings[0].median
    if cores == 1 {
      result.pools = Dictionary(uniqueKeysWithValues: zip(ways, timings).dropFirst())
    }
    result.rssAnonMiB = after.rssAnon - before.rssAnon
    result.pageFaults = Double(after.pageFaults - before.pageFaults)
    result.add(found.dropFirst(own.count + 1), of: group)
    return result
  }

  /// Ten shards of eight batches around ten prototypes, as the peers' script makes them.
  private static func nodes() throws -> [HonestNode] {
    let key = RandomKey(1).derived(for: "server")
    let prototypes = Tensor<Float>.normal(shape: [10, 28 * 28], key: key.child(0)).rows
    let count = 8 * batch
    return try (0..<honest).map { node in
      let noise = Tensor<Float>.normal(shape: [count, 28 * 28], key: key.child(UInt64(node + 1)))
      let labels = (0..<count).map { ($0 * 7 + node) % 10 }
      let images = Tensor<Float>(shape: [count, 28 * 28]) { out in
        for (i, (label, row)) in zip(labels, noise.rows).enumerated() {
          prototypes[label].withUnsafeBufferPointer { prototype in
            row.withUnsafeBufferPointer { noise in
              for j in prototype.indices {
                out.initializeElement(
                  at: i * prototype.count + j, to: (prototype[j] + noise[j]) / 2)
              }
            }
          }
        }
      }
      return try HonestNode(
        name: "node \(node)", model: ConvolutionalNetwork(),
        data: Batch(inputs: images, labels: labels), batchSize: batch,
        key: key.child(UInt64(100 + node)))
    }
  }

  /// One round of a server of its own.
  private static func contestant(
    _ way: Way, pool: ActorPool?, honest: [HonestNode]
  ) throws -> Contestant {
    let byzantine = try (0..<f).map {
      try ByzantineNode(name: "liar \($0)", attack: Empire(), key: RandomKey(UInt64($0)))
    }
    var server = try ParameterServer(
      honest: honest, byzantine: byzantine, aggregator: MultiKrum(f: f, q: q),
      optimizer: SGD(learningRate: 0.1, momentum: 0.9),
      parameters: ConvolutionalNetwork().initialParameters(key: RandomKey(1)))
    return Contestant(name: way.rawValue) { _ in
      let start = ContinuousClock.now
      let report = try await server.round(on: pool)
      let time = (ContinuousClock.now - start) / .seconds(1)
      guard report.step == .taken, report.meanLoss?.isFinite == true else {
        throw BenchmarkError.wrong(row: peerRow, data: .gaussian, error: .nan)
      }
      return time
    }
  }

  /// The rule of a round by itself, on as many vectors of the same length.
  private static func aggregation(pool: ActorPool?) throws -> Contestant {
    let d = ConvolutionalNetwork().parameterCount
    let inputs = try (0..<3).map {
      try Input(.alie, n: honest + f, d: d, f: f, seed: $0, isShared: false)
    }
    var turn = 0
    return Contestant(name: "aggregation") { _ in
      turn += 1
      let vectors = inputs[turn % inputs.count].vectors
      let rule = MultiKrum(f: f, q: q)
      let start = ContinuousClock.now
      let out =
        if let pool {
          try await rule.aggregate(vectors, on: pool)
        } else {
          try rule.aggregate(vectors)
        }
      let time = (ContinuousClock.now - start) / .seconds(1)
      withExtendedLifetime(out) {}
      return time
    }
  }
}
