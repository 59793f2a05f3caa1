import Testing
import byzkit_bench

@Suite("Decisions of the benchmark's commands")
struct CommandTests {
  @Test("measure a slow row three times more, and fail only if all are slow")
  func smoke() {
    #expect(!SmokeRecords.isRepeated([1.4], recorded: 1))
    #expect(SmokeRecords.isRepeated([1.6], recorded: 1))
    #expect(SmokeRecords.isRepeated([1.6, 2, 1.7], recorded: 1))
    #expect(!SmokeRecords.isRepeated([1.6, 2, 1.7, 1.8], recorded: 1))
    #expect(SmokeRecords.isMissed([1.6, 2, 1.7, 1.8], recorded: 1))
    #expect(!SmokeRecords.isRepeated([1.6, 1.2], recorded: 1))
    #expect(!SmokeRecords.isMissed([1.6, 1.2], recorded: 1))
    #expect(!SmokeRecords.isMissed([100], recorded: nil))
    #expect(SmokeRecords.isMissed([.nan, .nan, .nan, .nan], recorded: 1))
  }

  @Test("have one name for each row")
  func names() {
    let names = RowTable.names
    #expect(Set(names).count == names.count)
  }

  @Test("find the critical path in the longest branch, or in the share of all work")
  func criticalPath() {
    let equal = Array(repeating: [3.0, 1], count: 4)
    #expect(CriticalPath.seconds(branches: equal, cores: 2) == 8)
    #expect(CriticalPath.seconds(branches: equal, cores: 8) == 4)
    #expect(CriticalPath.seconds(branches: [[10, 1], [1, 1]], cores: 2) == 11)
  }

  @Test("compare lengths with each other for each rule, n and precision by itself")
  func growth() {
    func point(_ rule: String, _ n: Int, _ d: Int, _ ratio: Double) -> GrowthPoint {
      GrowthPoint(
        rule: rule, n: n, d: d, isDouble: false, seconds: ratio * 2,
        floor: Floor(seconds: 2, bound: .memory))
    }
    let curves = GrowthCurve.all(of: [
      point("mean", 8, 10, 1), point("median", 8, 10, 2), point("mean", 8, 100, 1.4),
      point("median", 8, 100, 3.2), point("mean", 64, 10, 9),
    ])
    #expect(curves.count == 3)
    #expect(curves[0].spread == 1.4)
    #expect(curves[2].spread == nil)
    let verdict = GrowthCurve.verdict(on: curves)
    #expect(verdict.isKept == false)
    #expect(verdict.found.hasPrefix("median n=8 Float 1.6"))
  }

  @Test("hold mapped files to memory's speed, to the disk's, and to memory that does not grow")
  func mapped() {
    var result = MappedResult(rule: "median", passes: 1)
    (result.heap, result.cached) = (6, 10)
    result.fromDisk = [(10, 6), (10, 9), (20, 5)]
    (result.rssAnonShort, result.rssAnonLong) = (1, 10)
    #expect([result].verdicts.map(\.isKept) == [true, true, true])
    (result.cached, result.fromDisk, result.rssAnonLong) = (10.1, [(10, 5.9)], 30)
    #expect([result].verdicts.map(\.isKept) == [false, false, false])
    result.heap = nil
    #expect([result].verdicts[0].isKept == nil)
  }
}
