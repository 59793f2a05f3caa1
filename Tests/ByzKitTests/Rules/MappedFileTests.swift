import ByzKit
import ByzRuntime
import ByzTensor
import Foundation
import Testing

@Suite("A file that is being written")
struct FileOutputTests {
  /// Single outputs and several are longer than the buffer that they go through, and no multiple of it.
  static let vectors = (0..<3).map {
    Tensor<Float>.normal(shape: [600_001], key: RandomKey(UInt64($0)))
  }

  private func inMemory(_ rule: any Rule) throws -> [Tensor<Float>] {
    if let rule = rule as? any PreAggregator { return try rule.preAggregate(Self.vectors) }
    return [try #require(rule as? any Aggregator).aggregate(Self.vectors)]
  }

  @Test(
    "takes what memory takes, bit for bit, from a rule that the caller runs and from a pool's",
    arguments: [nil, 2])
  func likeMemory(_ threads: Int?) async throws {
    let rules: [any Rule] = [
      Mean(), Median(), GeometricMedian(), Clipping(threshold: 500), ARC(f: 1), Bucketing(size: 2),
      NearestNeighborMixing(f: 1),
    ]
    for rule in rules {
      let expected = try inMemory(rule)
      let path = FileManager.default.temporaryDirectory.appending(path: "out-\(UUID().uuidString)")
      var outputs: [Tensor<Float>] = try Tensor.scratch(
        count: expected.count, shape: [600_001], beside: path.path)
      let addresses = outputs.map(\.address)
      if let threads {
        try await withActorPool(.threads(threads)) { pool in
          let context = OperatorContext(pool: pool, chunkSize: 300_000)
          try await rule.apply(to: Self.vectors, into: &outputs, in: context)
        }
      } else {
        try await rule.apply(to: Self.vectors, into: &outputs, in: OperatorContext())
      }
      #expect(outputs.map(\.address) == addresses, "\(rule.name)")
      #expect(zip(outputs, expected).allSatisfy { $0.hasSameBits(as: $1) }, "\(rule.name)")
    }
  }
}
