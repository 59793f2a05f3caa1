import ByzKit
import ByzRuntime
import Testing

/// A rule that decides what it is told.
private struct Dictated: Aggregator {
  let combination: Combination
  let extraVector: ExtraVector?

  func validate(n: Int) throws(AggregationError) {}
  func decide(_ geometry: Geometry) throws(AggregationError) -> Combination { combination }
}

@Suite("Decisions that make no sense")
struct CombinationTests {
  static let vectors: [Tensor<Float>] = [[1, 2], [3, 4], [5, 6]]

  @Test("end the process before they reach memory that is not theirs")
  func endTheProcess() async {
    await #expect(processExitsWith: .failure) {
      _ = try Dictated(combination: .trimmedMean(f: -1), extraVector: nil).aggregate(Self.vectors)
    }
    await #expect(processExitsWith: .failure) {
      let rule = Dictated(combination: .meanAroundMedian(f: -1, of: [0, 1, 2]), extraVector: nil)
      _ = try rule.aggregate(Self.vectors)
    }
    await #expect(processExitsWith: .failure) {
      _ = try Dictated(combination: .median(lower: true), extraVector: .zero).aggregate(
        Self.vectors)
    }
  }
}

@Suite("Sets of vectors")
struct MemberSetsTests {
  @Test("hold what they were given, and take a bit for each vector when they travel")
  func members() throws {
    let lists = [[], [0, 63, 64, 129], Array(0..<130)]
    let sets = MemberSets(lists, of: 130)
    #expect((0..<3).map { sets.members(of: $0) } == lists)
    let thousands = Combination.means(of: MemberSets(count: 4000, of: 4000), overlapping: true)
    var encoder = WireEncoder()
    let value = try encoder.encode(thousands)
    let decoder = WireDecoder(segments: [])
    #expect(try decoder.decode(Combination.self, from: value) == thousands)
    #expect(value.serialized().count < 3 << 20)
  }
}

@Suite("Not a number")
struct NaNTests {
  @Test("A mean of different NaNs is the one NaN that every kernel writes")
  func oneNaN() throws {
    let vectors = [0xFFC1_2345, 0x7FC0_0001].map {
      Tensor<Float>(repeating: Float(bitPattern: $0), shape: [9])
    }
    for result in try Bucketing(size: 2).preAggregate(vectors) + [Mean().aggregate(vectors)] {
      #expect(result.elements.allSatisfy { $0.bitPattern == Float.nan.bitPattern })
    }
  }
}
