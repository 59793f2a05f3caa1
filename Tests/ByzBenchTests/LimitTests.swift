import Foundation
import Testing
import byzkit_bench

#if canImport(FoundationXML)
  import FoundationXML
#endif

@Suite("Promises of the benchmark")
struct LimitTests {
  /// A row that takes `ms` beside a floor and peers, all in milliseconds.
  private func row(
    _ name: String, _ ms: Double, floor: Double, bound: Bound = .memory, data: DataKind = .gaussian,
    peers: [String: Double] = [:], ways: [Way: Double] = [:]
  ) -> RowResult {
    var timings = ways.mapValues { Timing(median: $0 / 1e3, minimum: $0 / 1e3) }
    timings[.fresh] = Timing(median: ms / 1e3, minimum: ms / 1e3)
    var result = RowResult(
      row: name, data: data, n: 64, ways: timings,
      floor: Floor(seconds: floor / 1e3, bound: bound), gainOfTwo: 2)
    result.peers = peers.mapValues { Timing(median: $0 / 1e3, minimum: $0 / 1e3) }
    return result
  }

  private func verdict(_ report: RowReport, _ words: String) throws -> Verdict {
    try #require(report.verdicts.first { $0.promise.contains(words) })
  }

  @Test("take the faster of ByzPy and ByzFL, and leave out what has no time")
  func peers() throws {
    var report = RowReport(peers: ["byzpy", "byzfl"])
    report.results = [
      row("Median", 1, floor: 1, peers: ["byzpy": 100, "byzfl": 25, "numpy": 9]),
      row("MDA 30x2048", 1, floor: 1, peers: ["byzpy": 100]),
    ]
    let mean = try verdict(report, "geometric mean of the kernel rows >= 25")
    #expect(mean.isKept == true)
    #expect(mean.found.hasPrefix("50.0x of 2 rows"))
    let others = try verdict(report, "without MDA and SMEA")
    #expect(others.found.hasPrefix("25.0x of 1 rows"))
    let all = try verdict(report, "fastest of all peers")
    #expect(all.found.hasPrefix("30.0x"))
  }

  @Test("let a row that is near its floor be less than five times as fast")
  func nearFloor() throws {
    var report = RowReport(peers: ["byzpy"])
    report.results = [row("Empire", 1.4, floor: 1, peers: ["byzpy": 3])]
    #expect(try verdict(report, "every row >= 5x").isKept == true)
    report.results = [row("Empire", 1.6, floor: 1, peers: ["byzpy": 3])]
    #expect(try verdict(report, "every row >= 5x").isKept == false)
  }

  @Test("say where a floor was too high: a call or a mean took less")
  func belowFloor() throws {
    var report = RowReport(peers: [])
    report.results = [row("CGE", 1.2, floor: 1)]
    report.results[0].yardstick = Timing(median: 0.8e-3, minimum: 0.7e-3)
    #expect(try verdict(report, "less than its floor").isKept == true)
    report.results[0].meanFloor = Floor(seconds: 1e-3, bound: .memory)
    #expect(try verdict(report, "less than its floor").found == "mean of CGE (gaussian) 0.70x")
    report.results = [row("CGE", 0.9, floor: 1)]
    #expect(try verdict(report, "less than its floor").found == "CGE (gaussian) 0.90x")
  }

  @Test("name the rows that miss, on all data")
  func misses() throws {
    var report = RowReport(peers: ["numpy"])
    report.results = [
      row("CGE", 1, floor: 0.5, peers: ["numpy": 2]),
      row("CGE", 3, floor: 1, data: .offset, peers: ["numpy": 2]),
    ]
    let slower = try verdict(report, "no row slower")
    #expect(slower.isKept == false)
    #expect(slower.found.hasPrefix("CGE (offset)"))
    #expect(try verdict(report, "within 2.5x of its floor").found.hasPrefix("CGE (offset)"))
  }

  @Test("ask two threads for what two cores gain, and for more where arithmetic bounds the row")
  func pools() throws {
    let words = "two threads gain"
    var report = RowReport()
    report.results = [row("ARC", 10, floor: 5, ways: [.thread2: 5.5])]
    #expect(try verdict(report, words).isKept == true)
    report.results = [row("ARC", 10, floor: 5, ways: [.thread2: 6])]
    #expect(try verdict(report, words).isKept == false)
    var arithmetic = row("Krum", 10, floor: 5, bound: .squaredDifference, ways: [.thread2: 6.1])
    arithmetic.gainOfTwo = 1
    report.results = [arithmetic]
    #expect(try verdict(report, words).isKept == false)
    // Small work may stay on one core, but not lose much.
    report.results = [row("MDA", 0.1, floor: 0.1, ways: [.thread2: 0.104])]
    #expect(try verdict(report, words).isKept == nil)
    #expect(try verdict(report, "small work").isKept == true)
    report.results = [row("MDA", 0.1, floor: 0.1, ways: [.thread2: 0.11])]
    #expect(try verdict(report, "small work").isKept == false)
  }

  @Test("compare processes with threads by their gains")
  func processes() throws {
    var report = RowReport()
    report.results = [row("CAF", 10, floor: 5, ways: [.thread2: 5, .process2: 5.5])]
    #expect(try verdict(report, "two processes").isKept == true)
    report.results = [row("CAF", 10, floor: 5, ways: [.thread2: 5, .process2: 5.6])]
    #expect(try verdict(report, "two processes").isKept == false)
  }

  @Test("are kept, missed or not measured, but never kept by rows that are not there")
  func empty() {
    #expect(RowReport().verdicts.allSatisfy { $0.isKept == nil })
  }

  @Test("of training compare each count of cores with its own peers")
  func training() throws {
    let floor = Floor(seconds: 1, bound: .multiplyAdd)
    func result(_ name: String, _ own: Double, _ torch: Double) -> TrainingResult {
      var result = TrainingResult(
        row: name, own: Timing(median: own, minimum: own), floor: floor, aggregation: 0.05)
      result.peers["torch"] = Timing(median: torch, minimum: torch)
      return result
    }
    let report = RowReport(training: [
      result("CNN step 64", 1, 1.9), result("ParameterServer x", 1, 1),
      result("ParameterServer x, 2 cores", 1, 2),
    ])
    #expect(try verdict(report, "CNN step <= 0.5x").isKept == false)
    #expect(try verdict(report, "ParameterServer, 2 cores <= 0.55x").isKept == true)
    #expect(report.verdicts.filter { $0.promise.contains("10 % of a round") }.count == 3)
  }
}

@Suite("What the benchmark writes")
struct OutputTests {
  private var report: RowReport {
    var result = RowResult(
      row: "Median <64>", data: .alie, n: 64,
      ways: [
        .fresh: Timing(median: 2e-3, minimum: 1e-3), .into: Timing(median: 1e-3, minimum: 1e-3),
        .process2: Timing(median: 3e-3, minimum: 1e-3),
      ], floor: Floor(seconds: 5e-4, bound: .minMax), gainOfTwo: 2, rssAnonMiB: 1.5, pageFaults: 7)
    result.peers = ["byzpy": Timing(median: 0.1, minimum: 0.1)]
    var gaussian = result
    gaussian.data = .gaussian
    return RowReport(results: [result, gaussian], peers: ["byzpy"])
  }

  @Test("as JSON is one object for each row, with the names that were agreed on")
  func json() throws {
    let rows = try #require(
      JSONSerialization.jsonObject(with: report.json()) as? [[String: Any]])
    #expect(rows.count == 2)
    let keys: Set<String> = [
      "row", "ms", "minMs", "floorMs", "pools", "rssAnonMiB", "pageFaults", "peers",
    ]
    for row in rows { #expect(Set(row.keys) == keys) }
    #expect(rows[0]["row"] as? String == "Median <64>, alie")
    #expect(rows[1]["row"] as? String == "Median <64>")
    #expect(rows[1]["ms"] as? Double == 2)
    #expect(rows[1]["minMs"] as? Double == 1)
    #expect(rows[1]["floorMs"] as? Double == 0.5)
    #expect(rows[1]["pools"] as? [String: Double] == ["process:2": 3])
    let peers = try #require(rows[1]["peers"] as? [String: Any])
    #expect(peers["byzpy"] as? Double == 100)
    for other in ["byzfl", "torch", "numpy", "krum"] { #expect(peers[other] is NSNull) }
  }

  @Test("as charts is well-formed XML, with a mark for each time")
  func charts() {
    let dots = report.chart.svg
    let curves = Curves(
      title: "a & b", horizontal: "d", vertical: "<x>",
      curves: [
        .init("n = 8", points: [(1e4, 1), (1e8, 3)]), .init("n = 64", points: [(1e5, 2)]),
      ]
    ).svg
    for svg in [dots, curves] {
      let parser = XMLParser(data: Data(svg.utf8))
      let isWellFormed = parser.parse()
      #expect(isWellFormed, "\(String(describing: parser.parserError))")
    }
    // One row on Gaussian data: ByzKit, its floor and one peer; and three in the legend.
    #expect(dots.components(separatedBy: "<circle").count - 1 == 6)
    #expect(curves.components(separatedBy: "<polyline").count - 1 == 2)
  }

  @Test("as a table lines up, and is the same table in Markdown")
  func grids() {
    let grid = Grid(["row", "ms"], lines: [["a", "1.0"], ["long", "10.0"]])
    #expect(grid.text == "row     ms\na      1.0\nlong  10.0")
    #expect(grid.markdown == "| row | ms |\n| --- | --: |\n| a | 1.0 |\n| long | 10.0 |")
  }

  @Test("takes the slowest input's median for searches")
  func times() {
    let times = Times(perInput: [[1, 2, 3], [7, 5, 6], []])
    #expect(times.median() == 4)
    #expect(times.median(slowestInput: true) == 6)
    #expect(times.minimum == 1)
    #expect(abs([1, 4, 16].geometricMean - 4) < 1e-12)
  }
}
