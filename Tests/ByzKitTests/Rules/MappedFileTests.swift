import ByzKit
import ByzRuntime
import ByzTensor
import Foundation
import Testing

@Suite("A file of vectors")
struct MappedFileTests {
  /// Single outputs and several are longer than the buffer that they go through, and no multiple of it; vectors are longer than what is
  /// read ahead of each.
  static let vectors = (0..<3).map {
    Tensor<Float>.normal(shape: [600_001], key: RandomKey(UInt64($0)))
  }
  private static let rules: [any Rule] = [
    Mean(), Median(), MeanAroundMedian(f: 1), GeometricMedian(), MultiKrum(f: 0, q: 2), CGE(f: 1),
    Clipping(threshold: 500), ARC(f: 1), Bucketing(size: 2), NearestNeighborMixing(f: 1),
  ]

  private func inMemory(_ rule: any Rule) throws -> [Tensor<Float>] {
    if let rule = rule as? any PreAggregator { return try rule.preAggregate(Self.vectors) }
    return [try #require(rule as? any Aggregator).aggregate(Self.vectors)]
  }

  /// On a pool if `threads` is not nil.
  private func apply(
    _ rule: any Rule, to vectors: [Tensor<Float>], into outputs: inout [Tensor<Float>],
    threads: Int?
  ) async throws {
    guard let threads else {
      return try await rule.apply(to: vectors, into: &outputs, in: OperatorContext())
    }
    try await withActorPool(.threads(threads)) { pool in
      let context = OperatorContext(pool: pool, chunkSize: 300_000)
      try await rule.apply(to: vectors, into: &outputs, in: context)
    }
  }

  @Test(
    "takes what memory takes, bit for bit, from a rule that the caller runs and from a pool's",
    arguments: [nil, 2])
  func written(_ threads: Int?) async throws {
    for rule in Self.rules {
      let expected = try inMemory(rule)
      let path = FileManager.default.temporaryDirectory.appending(path: "out-\(UUID().uuidString)")
      var outputs: [Tensor<Float>] = try Tensor.scratch(
        count: expected.count, shape: [600_001], beside: path.path)
      let addresses = outputs.map(\.address)
      try await apply(rule, to: Self.vectors, into: &outputs, threads: threads)
      #expect(outputs.map(\.address) == addresses, "\(rule.name)")
      #expect(zip(outputs, expected).allSatisfy { $0.hasSameBits(as: $1) }, "\(rule.name)")
    }
  }

  @Test(
    "gives what memory gives, bit for bit, though it is read ahead in pieces", arguments: [nil, 2])
  func read(_ threads: Int?) async throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "in-\(UUID().uuidString).npy")
    defer { try? FileManager.default.removeItem(at: path) }
    try Tensor(shape: [3, 600_001]) { all in
      for (row, vector) in Self.vectors.enumerated() {
        vector.withUnsafeBufferPointer {
          (all.baseAddress! + row * 600_001).update(from: $0.baseAddress!, count: 600_001)
        }
      }
    }.write(npy: path.path)
    let mapped = try #require(AnyTensor(mappingNpy: path.path).typed(as: Float.self))
    for rule in Self.rules {
      let expected = try inMemory(rule)
      var outputs = expected.map { Tensor<Float>(repeating: 0, shape: $0.shape) }
      try await apply(rule, to: mapped.rows, into: &outputs, threads: threads)
      #expect(zip(outputs, expected).allSatisfy { $0.hasSameBits(as: $1) }, "\(rule.name)")
    }
  }
}
