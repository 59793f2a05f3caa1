import ByzKit
import ByzRuntime
import ByzTCP
import ByzTensor
import Testing

/// A search that takes longer than anyone waits; says when it begins and ends.
struct EndlessSearch: Subtask {
  /// Of the searches of this process.
  static let begun = AsyncStream.makeStream(of: Void.self)
  static let ended = AsyncStream.makeStream(of: AggregationError?.self)
  var rule: String

  func run(_ operands: Operands) throws -> Bool {
    Self.begun.continuation.yield()
    do throws(AggregationError) {
      _ = try CancelledSearchTests.endless(rule).aggregate(CancelledSearchTests.vectors)
    } catch {
      Self.ended.continuation.yield(error)
      throw error
    }
    Self.ended.continuation.yield(nil)
    return true
  }
}

@Suite("A search that nobody waits for", .timeLimit(.minutes(3)))
struct CancelledSearchTests {
  static let names = ["MDA", "SMEA"]
  static let n = 300
  private static let registry = Registry.byzKit.merging(Registry(subtasks: [EndlessSearch.self]))

  static func endless(_ name: String) -> any Aggregator {
    name == "MDA" ? MDA(f: 148, searchLimit: .max) : SMEA(f: 148, searchLimit: .max)
  }

  /// Points of which pairs are farther apart than others: the edges of a graph in which every vertex has three, a ring with chords.
  /// To cover them with 148 of 280 vertices is almost possible.
  static let vectors: [Tensor<Double>] = {
    let onRing = 280
    let ends = RandomKey(3).permutation(of: onRing)
    let edges =
      (0..<onRing).map { ($0, ($0 + 1) % onRing) }
      + stride(from: 0, to: onRing, by: 2).map { (ends[$0], ends[$0 + 1]) }
    return (0..<n).map { i in
      var row = Tensor<Double>(repeating: 0, shape: [edges.count + n])
      for (j, edge) in edges.enumerated() {
        if edge.0 == i { row[j] = 1 }
        if edge.1 == i { row[j] = -1 }
      }
      // As long as the others.
      if i >= onRing { row[edges.count + i] = 3.squareRoot() }
      return row
    }
  }()

  /// Cancels a task when it is about to search.
  private static func cancelling(_ search: @escaping @Sendable () async throws -> Void) async -> (
    any Error
  )? {
    let (begun, begins) = AsyncStream.makeStream(of: Void.self)
    let task = Task {
      begins.yield()
      try await search()
    }
    for await _ in begun { break }
    task.cancel()
    do {
      try await task.value
      return nil
    } catch {
      return error
    }
  }

  // In processes of their own: a search takes a thread of those that all tests share, until it is cancelled.

  @Test("ends soon after its task is cancelled, directly or on a pool")
  func direct() async {
    await #expect(processExitsWith: .success) {
      for name in Self.names {
        let rule = Self.endless(name)
        let error = await Self.cancelling { _ = try rule.aggregate(Self.vectors) }
        #expect(error as? AggregationError == .cancelled(rule: name))
        try await withActorPool([.threads(1)]) { (pool) async throws -> Void in
          let error = await Self.cancelling { _ = try await rule.aggregate(Self.vectors, on: pool) }
          #expect(error is CancellationError)
        }
      }
    }
  }

  @Test("ends before its first step in a task that is cancelled, where it would iterate")
  func iterations() async {
    let vectors = (0..<7).map { Tensor<Float>.normal(shape: [11], key: RandomKey($0)) }
    let rules: [any Aggregator] = [GeometricMedian(), CenteredClipping(tau: 1), CAF(f: 2)]
    for rule in rules {
      let error = await Task {
        withUnsafeCurrentTask { $0?.cancel() }
        return #expect(throws: AggregationError.self) { try rule.aggregate(vectors) }
      }.value
      #expect(error == .cancelled(rule: rule.name))
    }
  }

  @Test("is not taken for a refusal when it is part of an attack's search")
  func attack() async {
    await #expect(processExitsWith: .success) {
      let error = await Self.cancelling {
        _ = try OptimizedAttack(.alie, evaluations: 1_000_000).craft(
          honest: Self.vectors, against: Median(), f: 2)
      }
      #expect(error is CancellationError)
      let nested = await Self.cancelling {
        _ = try OptimizedAttack(.alie).craft(
          honest: Array(Self.vectors.prefix(152)), against: Self.endless("SMEA"), f: 148)
      }
      #expect(nested is CancellationError)
    }
  }

  @Test("ends the round that it is part of, and the server is as before")
  func round() async {
    await #expect(processExitsWith: .success) {
      let (asked, asks) = AsyncStream.makeStream(of: Void.self)
      let server = try Problem().server(
        honest: 4, attack: OptimizedAttack(.alie, evaluations: 1_000_000), byzantine: 1,
        rule: Announcing(asks: asks))
      let round = Task {
        var next = server
        defer { #expect(next.roundsDone == 0) }
        try await next.round(on: nil)
      }
      for await _ in asked { break }
      round.cancel()
      await #expect(throws: CancellationError.self) { try await round.value }
    }
  }

  @Test("ends at a worker whose caller is cancelled, or has gone")
  func worker() async {
    await #expect(processExitsWith: .success) {
      for name in Self.names {
        for isCancelled in [true, false] {
          try await Self.expectEnd(of: name, isCancelled: isCancelled)
        }
      }
    }
  }

  private static func expectEnd(of name: String, isCancelled: Bool) async throws {
    try await withWorkerServer(registry: registry) { (server) async throws -> Void in
      let system = ByzActorSystem(registry: registry)
      let peer = try await system.connect(to: .tcp(server.address), named: "caller")
      let worker = RemoteWorker(name: "far", peer: peer, system: system)
      let call = Task { try await worker.run(EndlessSearch(rule: name), operands: Operands()) }
      for await _ in EndlessSearch.begun.stream { break }
      if isCancelled {
        call.cancel()
      } else {
        peer.link.close(RuntimeError(.stopped, "The caller goes."))
      }
      for await error in EndlessSearch.ended.stream {
        #expect(error == .cancelled(rule: name))
        break
      }
      await #expect(throws: (any Error).self) { try await call.value }
      await system.stop()
    }
  }
}

/// The median, which says when it is asked for.
private struct Announcing: Aggregator {
  let asks: AsyncStream<Void>.Continuation

  func validate(n: Int) {}

  func decide(_ geometry: Geometry) -> Combination {
    asks.yield()
    return .median(lower: false)
  }
}
