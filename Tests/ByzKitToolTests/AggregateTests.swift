import ByzKit
import Foundation
import Testing

@Suite("byzkit aggregate")
struct AggregateTests {
  @Test("writes what the library computes, whichever way the vectors come")
  func results() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try tool.write("x.npy")
    let x = try Tensor<Float>(npy: tool.path("x.npy"))
    for (i, row) in x.rows.enumerated() { try row.write(npy: tool.path("row\(i).npy")) }
    let expected = try MultiKrum(f: 2, q: 3).aggregate(x)

    let rows = (0..<9).map { "row\($0).npy" }
    let data = try Data(contentsOf: tool.folder.appending(path: "x.npy"))
    #expect(
      try tool("aggregate", "multiKrum", "--f", "2", "--q", "3", "x.npy", "-o", "a.npy").status == 0
    )
    #expect(
      try tool("aggregate", "multi-krum:f=2,q=3", "-", "-o", "b.npy", input: data).status == 0)
    let process = try tool.process(
      ["aggregate", "multiKrum:f=2,q=3"] + rows + ["--output", "c.npy"])
    try process.run()
    process.waitUntilExit()
    for name in ["a.npy", "b.npy", "c.npy"] {
      #expect(try Tensor<Float>(npy: tool.path(name)).hasSameBits(as: expected), "\(name)")
    }
    #expect(tool.files == (["a.npy", "b.npy", "c.npy", "x.npy"] + rows).sorted())
  }

  @Test("runs pre-aggregators first, each with its own parameters or the command's")
  func preAggregators() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try tool.write("x.npy")
    let rule = NearestNeighborMixing(f: 2).then(Bucketing(size: 3)).then(TrimmedMean(f: 1))
    let result = try tool(
      "aggregate", "trimmedMean:f=1", "--pre-aggregator", "nnm", "--f", "2", "--pre-aggregator",
      "bucketing:size=3", "x.npy", "-o", "out.npy")
    #expect(result.status == 0, "\(result.errors)")
    let expected = try rule.aggregate(Tensor<Float>(npy: tool.path("x.npy")))
    #expect(try Tensor<Float>(npy: tool.path("out.npy")).hasSameBits(as: expected))
    #expect(tool.files == ["out.npy", "x.npy"])
  }

  @Test("refuses options that would be ignored, and an output that is one of the vectors")
  func ignored() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try tool.write("x.npy")
    for (rule, flag) in [
      ("krum:f=1", "--f"), ("trimmedMean:ratio=0.2", "--f"),
      ("mda:f=1,searchLimit=9", "--search-limit"),
    ] {
      let result = try tool("aggregate", rule, flag, "0", "x.npy", "-o", "out.npy")
      #expect(result.status == 1 && result.errors.contains("\(flag) would be ignored"), "\(result)")
    }
    let x = try Tensor<Float>(npy: tool.path("x.npy"))
    for (i, row) in x.rows.prefix(4).enumerated() { try row.write(npy: tool.path("row\(i).npy")) }
    let rows = (0..<4).map { "row\($0).npy" }
    let result = try tool(["aggregate", "median"] + rows + ["-o", "./row3.npy"])
    #expect(result.status == 1 && result.errors.contains("row3.npy is the output"), "\(result)")
    #expect(try Tensor<Float>(npy: tool.path("row3.npy")) == x.rows[3])
  }

  @Test("replaces the output only when it succeeds, and leaves nothing else behind")
  func nothingHalfWritten() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try tool.write("x.npy", n: 4)
    try Data("old".utf8).write(to: tool.folder.appending(path: "out.npy"))
    // Refused by n and f, by a parameter, by the rule when it has measured, and by the chain.
    for arguments in [
      ["krum", "--f", "2"], ["centeredClipping", "--tau=nan"], ["mda:f=1,searchLimit=0"],
      ["krum", "--f", "1", "--pre-aggregator", "bucketing:size=2"],
    ] {
      let process = try tool.process(["aggregate"] + arguments + ["x.npy", "-o", "out.npy"])
      process.standardError = Pipe()
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationStatus == 1, "\(arguments)")
      #expect(tool.files == ["out.npy", "x.npy"])
      #expect(try Data(contentsOf: tool.folder.appending(path: "out.npy")) == Data("old".utf8))
    }
  }

  @Test("an interrupted command leaves no file", .timeLimit(.minutes(3)))
  func interruption() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try tool.write("x.npy", n: 64, d: 40)
    let process = try tool.process([
      "aggregate", "smea", "--f", "28", "--search-limit", "1000000000000000", "x.npy", "-o",
      "out.npy",
    ])
    try process.run()
    // The search would take years, and the unfinished file is mapped before it begins. It may have no name yet.
    let maps = "/proc/\(process.processIdentifier)/maps"
    let isBegun = { () -> Bool in
      // Not at once: the file says that it has no bytes.
      let bytes = try? FileHandle(forReadingAtPath: maps)?.readToEnd()
      return String(decoding: bytes ?? Data(), as: UTF8.self).split(separator: "\n").contains {
        $0.contains(tool.folder.lastPathComponent) && !$0.hasSuffix("/x.npy")
      }
    }
    while tool.files == ["x.npy"], !isBegun(), process.isRunning { sched_yield() }
    // Handled as Ctrl-C is, which whoever runs the tests may have told all children to ignore.
    process.terminate()
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal)
    #expect(tool.files == ["x.npy"])
  }
}
