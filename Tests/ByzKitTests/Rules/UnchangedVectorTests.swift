import ByzKit
import ByzRuntime
import ByzTensor
import Testing

@Suite("Vectors that a pre-aggregator leaves as they are")
struct UnchangedVectorTests {
  static let vectors: [Tensor<Float>] = [[3, 4], [0.3, 0.4], [.nan, 1], [0, -9], [1, 0]]

  @Test("share the input's memory; the others have their own")
  func shared() async throws {
    let direct = try Clipping(threshold: 1).preAggregate(Self.vectors)
    #expect(direct == [[0.6, 0.8], [0.3, 0.4], [0, 0], [0, -1], [1, 0]])
    let pooled = try await withActorPool(.threads(2)) { pool in
      try await Clipping(threshold: 1).preAggregate(Self.vectors, on: pool, chunkSize: 1)
    }
    for results in [direct, pooled] {
      #expect(zip(results, direct).allSatisfy { $0.hasSameBits(as: $1) })
      let isShared = zip(results, Self.vectors).map { $0.address == $1.address }
      #expect(isShared == [false, true, false, false, true])
    }
  }

  @Test("may be all of them, or none")
  func allOrNone() throws {
    let vectors = Self.vectors.filter { $0.elements.allSatisfy(\.isFinite) }
    #expect(try Clipping(threshold: 100).preAggregate(vectors) == vectors)
    #expect(try Clipping(threshold: 0).preAggregate(vectors).allSatisfy { $0 == [0, 0] })
  }

  @Test("stay as they are when the result is written to")
  func written() throws {
    var results = try Clipping(threshold: 1).preAggregate(Self.vectors)
    results[1][0] = 7
    #expect(Self.vectors[1] == [0.3, 0.4] && results[1] == [7, 0.4])
  }

  @Test("are found in vectors that are taken some at a time, with the bits of all at once")
  func inParts() async throws {
    // Of the first shape two vectors fit into a part, of the second none does.
    for d in [60_000, 200_000] {
      let vectors = (0..<5).map { i in
        Tensor<Float>.normal(shape: [d], deviation: i == 2 ? 0.1 : 1, key: RandomKey(UInt64(i)))
      }
      let direct = try Clipping(threshold: 100).preAggregate(vectors)
      let isShared = zip(direct, vectors).map { $0.address == $1.address }
      #expect(isShared == [false, false, true, false, false])
      let pooled = try await withActorPool(.threads(2)) { pool in
        try await Clipping(threshold: 100).preAggregate(vectors, on: pool, chunkSize: 50_000)
      }
      #expect(zip(direct, pooled).allSatisfy { $0.hasSameBits(as: $1) })
    }
    let mixed: [Tensor<Float>] = [
      Tensor(repeating: 1, shape: [200_000]), Tensor(repeating: 1, shape: [3]),
    ]
    #expect(throws: AggregationError.self) { try Clipping(threshold: 1).preAggregate(mixed) }
  }
}
