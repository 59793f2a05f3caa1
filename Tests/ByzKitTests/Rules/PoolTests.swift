import ByzKit
import ByzRuntime
import ByzTensor
import Testing

@Suite("Rules on a pool")
struct PoolTests {
  #if DEBUG
    static let workers = [1, 2, 5]
    static let d = 2 * 2048 + 77
  #else
    static let workers = Array(1...8)
    static let d = 9 * 2048 + 77
  #endif
  static let n = 11

  static func vectors<E: TensorElement>(_: E.Type = E.self, d: Int = d) -> [Tensor<E>] {
    (0..<n).map { Tensor.normal(shape: [d], mean: Double($0 % 3), key: RandomKey(UInt64($0))) }
  }

  private func check<E: TensorElement>(_ rule: any Rule, _: E.Type) async throws {
    let vectors = Self.vectors(E.self)
    let direct = try rule.outputs(vectors)
    for count in Self.workers {
      try await withActorPool(.threads(count)) { pool in
        for chunkSize in [nil, 1000] {
          let pooled = try await rule.outputs(vectors, on: pool, chunkSize: chunkSize)
          #expect(
            hasSameBits(pooled, direct), "\(count) workers, chunk size \(chunkSize ?? 0), \(E.self)"
          )
        }
      }
    }
  }

  @Test(
    "Every rule gives the bits of the direct call, for every number of workers",
    arguments: TestedRule.all)
  func bits(_ rule: TestedRule) async throws {
    let f = try #require(rule.f(n: Self.n))
    try await check(rule.make(Self.n, f, 1), Float.self)
    try await check(rule.make(Self.n, f, 1), Double.self)
  }

  @Test(
    "The chunk size changes scheduling, never bits",
    arguments: [Int.min, -1, 0, 1, 63, 64, 65, 2048, 5000, .max])
  func chunkSize(_ size: Int) async throws {
    let vectors = Self.vectors(Float.self)
    try await withActorPool(.threads(3)) { pool in
      for rule in [MultiKrum(f: 2, q: 5), TrimmedMean(f: 2), NearestNeighborMixing(f: 2)]
        as [any Rule]
      {
        let direct = try rule.outputs(vectors)
        #expect(
          hasSameBits(try await rule.outputs(vectors, on: pool, chunkSize: size), direct), "\(rule)"
        )
      }
    }
  }

  @Test(
    "Work that is large enough to be split without being asked gives the bits of the direct call")
  func split() async throws {
    // More columns than a measurement has parts of one block each.
    let vectors = (0..<64).map {
      Tensor<Float>.normal(shape: [70_077], key: RandomKey(UInt64($0)))
    }
    for workers in [WorkerConfiguration.threads(2), .testProcesses(2)] {
      try await withActorPool(workers) { (pool) async throws -> Void in
        for rule in [MultiKrum(f: 8, q: 12), GeometricMedian()] as [any Rule] {
          let direct = try rule.outputs(vectors)
          let pooled = try await rule.outputs(vectors, on: pool, chunkSize: nil)
          #expect(hasSameBits(pooled, direct), "\(rule) on \(workers.backend.name)")
        }
        #expect(pool.statistics.reduce(0) { $0 + $1.completed } >= 4)
      }
    }
  }

  @Test("At least two workers have at least two subtasks of every rule", arguments: TestedRule.all)
  func shares(_ rule: TestedRule) async throws {
    let f = try #require(rule.f(n: Self.n))
    let vectors = Self.vectors(Float.self)
    try await withActorPool(.threads(2)) { pool in
      // Which worker is quicker is up to the machine, so a slow one gets a few more calls to show up.
      for _ in 0..<50 {
        _ = try await rule.make(Self.n, f, 1).outputs(vectors, on: pool, chunkSize: 256)
        if pool.statistics.allSatisfy({ $0.completed >= 2 }) { break }
      }
      #expect(pool.statistics.allSatisfy { $0.completed >= 2 && $0.failed == 0 })
    }
  }

  @Test("One rule and one graph serve many tasks at once")
  func concurrency() async throws {
    let rule = NearestNeighborMixing(f: 2).then(MultiKrum(f: 2, q: 3))
    let builder = GraphBuilder()
    let step = rule(builder.input("gradients", as: [Tensor<Float>].self))
    let graph = try builder.build(step)
    let name = step.name
    let inputs = (0..<8).map { shift in
      (0..<Self.n).map {
        Tensor<Float>.normal(shape: [3000], key: RandomKey(UInt64(shift * 100 + $0)))
      }
    }
    let expected = try inputs.map { try rule.aggregate($0) }
    try await withActorPool(.threads(3)) { pool in
      let scheduler = GraphScheduler(pool: pool)
      let results = try await withThrowingTaskGroup(of: (Int, Bool).self) { group in
        for (k, vectors) in inputs.enumerated() {
          group.addTask {
            (
              k,
              try await rule.aggregate(vectors, on: pool, chunkSize: 512)
                .hasSameBits(as: expected[k])
            )
          }
          group.addTask {
            let outputs = try await scheduler.run(graph, ["gradients": vectors])
            return (
              k, try outputs.value(of: name, as: Tensor<Float>.self).hasSameBits(as: expected[k])
            )
          }
        }
        var results: [(Int, Bool)] = []
        for try await result in group { results.append(result) }
        return results
      }
      #expect(results.count == 16 && results.allSatisfy(\.1))
    }
  }

  @Test("A refusal is the same on a pool")
  func refusal() async throws {
    try await withActorPool(.threads(2)) { pool in
      _ = await #expect(
        throws: AggregationError.illegalCount(
          rule: "Krum", n: 11, f: 6, bound: "0 ≤ 2f < n and f ≤ n - 2")
      ) {
        try await Krum(f: 6).aggregate(Self.vectors(Float.self), on: pool)
      }
    }
  }
}

@Suite("Kernel variants", .serialized)
struct RuleVariantTests {
  @Test(
    "Every rule gives the same bits with every variant that this processor has",
    arguments: TestedRule.all)
  func bits(_ rule: TestedRule) throws {
    let selected = KernelVariant.selected
    defer { selected.select() }
    let f = try #require(rule.f(n: PoolTests.n))
    let made = rule.make(PoolTests.n, f, 1)
    KernelVariant.plain.select()
    let floats = try made.outputs(PoolTests.vectors(Float.self, d: 2200))
    let doubles = try made.outputs(PoolTests.vectors(Double.self, d: 2200))
    for variant in KernelVariant.allCases where variant.select() {
      #expect(
        hasSameBits(try made.outputs(PoolTests.vectors(Float.self, d: 2200)), floats),
        "\(variant), Float")
      #expect(
        hasSameBits(try made.outputs(PoolTests.vectors(Double.self, d: 2200)), doubles),
        "\(variant), Double")
    }
  }
}
