import ByzKit
import ByzLaunch
import Foundation
import Testing

@Suite("byzkit's other commands")
struct CommandTests {
  @Test("list prints every entry of the catalogue, as JSON too")
  func list() throws {
    struct Entry: Decodable {
      let name: String
      let parameters: [ParameterInfo]
    }
    let tool = try Tool()
    defer { tool.remove() }
    let expected = [
      "aggregators": Catalog.aggregators.map(\.name), "attacks": Catalog.attacks.map(\.name),
      "pre-aggregators": Catalog.preAggregators.map(\.name),
    ]
    for (kind, names) in expected {
      let result = try tool("list", kind, "--format", "json")
      let entries = try JSONDecoder().decode([Entry].self, from: Data(result.output.utf8))
      #expect(entries.map(\.name) == names)
      #expect(try tool("list", kind).output.contains("\n\(names[1]) "))
    }
    for kind in ["models", "backends"] {
      let entries = try JSONDecoder().decode(
        [Entry].self, from: Data(try tool("list", kind, "--format", "json").output.utf8))
      #expect(!entries.isEmpty)
    }
  }

  #if os(Linux)
    @Test("what cannot be printed is no success")
    func fullDisk() throws {
      let tool = try Tool()
      defer { tool.remove() }
      let process = try tool.process(["list", "aggregators", "--format", "json"])
      process.standardOutput = try #require(FileHandle(forWritingAtPath: "/dev/full"))
      process.standardError = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationReason == .exit && process.terminationStatus == 1)
    }
  #endif

  @Test("doctor names the kernels in use")
  func doctor() throws {
    struct Diagnosis: Decodable {
      struct Kernels: Decodable { let selected: KernelVariant }
      let kernels: Kernels
      let threads: Int
    }
    let tool = try Tool()
    defer { tool.remove() }
    let result = try tool("doctor", "--format", "json", environment: ["BYZKIT_KERNELS": "plain"])
    let diagnosis = try JSONDecoder().decode(Diagnosis.self, from: Data(result.output.utf8))
    #expect(diagnosis.kernels.selected == .plain)
    #expect(diagnosis.threads >= 1)
    #expect(
      try tool("doctor", environment: ["BYZKIT_KERNELS": "plain"]).output.contains(
        "kernels     plain"))
  }

  @Test("whoever says a version says the changelog's", .timeLimit(.minutes(2)))
  func version() throws {
    struct Report: Decodable { let version: String }
    let tool = try Tool()
    defer { tool.remove() }
    let changelog = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../CHANGELOG.md").standardized
    let headings = try String(contentsOf: changelog, encoding: .utf8).split(separator: "\n")
      .filter { $0.hasPrefix("## ") }
    // The newest, once it has a number.
    let numbers = headings.compactMap { $0.firstMatch(of: /[0-9]+\.[0-9]+\.[0-9]+/)?.output }
    let newest = String(try #require(numbers.first))
    #expect(try tool("version").output == "byzkit \(newest)\n")
    #expect(try tool("--version").output == "byzkit \(newest)\n")
    let diagnosis = Data(try tool("doctor", "--format", "json").output.utf8)
    #expect(try JSONDecoder().decode(Report.self, from: diagnosis).version == newest)

    let worker = try tool.process(["worker", "--listen", "127.0.0.1:0", "--log-level", "critical"])
    let output = Pipe()
    worker.standardOutput = output
    try worker.run()
    defer { if worker.isRunning { kill(worker.processIdentifier, SIGKILL) } }
    var line = Data()
    while let byte = try output.fileHandleForReading.read(upToCount: 1), byte != Data("\n".utf8) {
      line += byte
    }
    #expect(try JSONDecoder().decode(Report.self, from: line).version == newest)
    worker.terminate()
    worker.waitUntilExit()
  }

  @Test("worker's default port is that of launchers and of clients")
  func defaultPort() throws {
    let tool = try Tool()
    defer { tool.remove() }
    let address = "127.0.0.1:\(LaunchEnvironment.defaultPort)"
    let help = try tool("worker", "--help").output
    #expect(help.contains(address), "\(help)")
    let alone = try LaunchEnvironment(.init(rank: 0, size: 1), variables: [:], hostName: "here")
    #expect("\(alone.rendezvous)" == address)
  }

  @Test("attack makes what each kind of attack sends")
  func attacks() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try tool.write("x.npy")
    let x = try Tensor<Float>(npy: tool.path("x.npy"))
    try x.rows[0].write(npy: tool.path("own.npy"))
    try x.rows[1].write(npy: tool.path("target.npy"))
    try Tensor<Float>([0, 3, 2]).write(npy: tool.path("labels.npy"))
    func sent(_ arguments: String...) throws -> Tensor<Float> {
      let process = try tool.process(["attack"] + arguments + ["-o", "out.npy"])
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0, "\(arguments)")
      return try Tensor(npy: tool.path("out.npy"))
    }
    #expect(try sent("alie", "--tau", "-2", "x.npy") == ALIE(tau: -2).craft(honest: x.rows))
    #expect(try sent("signFlip", "own.npy") == SignFlip().craft(own: x.rows[0]))
    #expect(
      try sent("modelReplacement", "--gamma", "5", "own.npy", "target.npy")
        == ModelReplacement(gamma: 5).craft(global: x.rows[0], target: x.rows[1]))
    #expect(
      try sent("gaussian", "--seed", "7", "x.npy")
        == Gaussian().craft(shape: [20], key: RandomKey(7)))
    #expect(try sent("labelFlip", "--classes", "4", "labels.npy") == [3, 0, 1])
    #expect(try sent("labelFlip", "--mapping", "0:3,3:0", "labels.npy") == [3, 0, 2])
    #expect(
      try sent("optimalIPM", "--f", "2", "--rule", "krum", "x.npy")
        == OptimizedAttack(.innerProduct).craft(honest: x.rows, against: Krum(f: 2), f: 2))
    let result = try tool("attack", "optimalIPM", "x.npy", "-o", "none.npy")
    #expect(result.errors == "byzkit: optimalIPM needs --rule, such as --rule krum:f=2.\n")
  }

  @Test("conformance bears cases that nobody could run")
  func impossibleCases() throws {
    let tool = try Tool()
    defer { tool.remove() }
    try Data("[]".utf8).write(to: tool.folder.appending(path: "cases.json"))
    let labels = """
      [{"id":"a","operator":"labelFlip","parameters":{},"expect":"reject","n":2,"d":0}]
      """
    try Data(labels.utf8).write(to: tool.folder.appending(path: "invalid.json"))
    let process = try tool.process(["conformance", "."])
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationReason == .exit)
  }

  @Test("conformance counts the cases and ends with 1 if one is not met")
  func conformance() throws {
    let tool = try Tool()
    defer { tool.remove() }
    let bundled = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Conformance")
    let cases = try String(contentsOf: bundled.appending(path: "cases.json"), encoding: .utf8)
    let chosen = cases.split(separator: "\n").filter { $0.contains("\"id\": \"median-0") }
      .map { $0.hasSuffix(",") ? String($0.dropLast()) : String($0) }
    try "[\(chosen.joined(separator: ","))]".write(
      toFile: tool.path("cases.json"), atomically: true, encoding: .utf8)
    try FileManager.default.copyItem(
      at: bundled.appending(path: "vectors"), to: tool.folder.appending(path: "vectors"))
    let whole = try tool("conformance", ".")
    #expect(whole.output == "\(chosen.count) passed, 0 failed\n")
    #expect(whole.status == 0)

    let broken = tool.path("vectors/median-02.npy")
    var expected = try Tensor<Double>(npy: broken)
    expected[0] += 1
    try expected.write(npy: broken)
    let result = try tool("conformance", ".")
    let lines = result.output.split(separator: "\n")
    #expect(lines.count == 2)
    #expect(lines.first?.hasPrefix("median-02: element 0 is ") == true)
    #expect(lines.last == "\(chosen.count - 1) passed, 1 failed")
    #expect(result.status == 1)

    let missing = try tool("conformance", "nowhere")
    #expect(missing.status == 1)
    #expect(missing.errors.hasPrefix("byzkit: Cannot read "))
  }
}
