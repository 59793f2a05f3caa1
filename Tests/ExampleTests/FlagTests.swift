import ByzAuthentication
import ByzKit
import ByzTCP
import Foundation
import Testing

@Suite("Flags of the examples", .timeLimit(.minutes(10)))
struct FlagTests {
  /// Little work: most of it is refused before it begins.
  private let small = ["--rounds", "2", "--batch-size", "8", "--model", "softmax", "--json"]

  @Test("a flag that would be ignored is refused in one line, and the exit code is 1")
  func ignored() async throws {
    let cases: [(name: String, arguments: [String], flag: String)] = [
      ("ps-mnist", ["--attack", "empire:scale=-1", "--attack-scale", "50"], "--attack-scale"),
      ("ps-mnist", ["--aggregator", "multiKrum:q=2", "--q", "5"], "--q"),
      ("ps-mnist", ["--f", "2"], "--f"),
      ("ps-mnist", ["--f", "1", "--aggregator", "trimmedMean:ratio=0.2"], "--f"),
      ("ps-mnist", ["--f", "1", "--aggregator", "krum:f=1"], "--f"),
      ("ps-mnist", ["--backend", "thread*4", "--workers", "8"], "--workers"),
      ("p2p-mnist", ["--f", "2"], "--f"),
      ("p2p-mnist", ["--mode", "async", "--quorum", "3", "--f", "2"], "--f"),
      ("p2p-mnist", ["--backend", "thread*1,process*1", "--workers", "1"], "--workers"),
    ]
    for (name, arguments, flag) in cases {
      let run = try await ExampleProgram(name)(small + arguments)
      #expect(run.status == 1, "\(name) \(arguments)")
      #expect(run.output.isEmpty)
      #expect(run.errors.split(separator: "\n").count == 1, "\(run.errors)")
      #expect(run.errors.contains("\(flag) would be ignored"), "\(arguments): \(run.errors)")
    }
  }

  @Test("a flag is accepted where one rule, one part of --backend, or the quorum takes it")
  func used() async throws {
    let cases: [(name: String, arguments: [String])] = [
      ("ps-mnist", ["--f", "1", "--pre-aggregator", "nnm"]),
      ("ps-mnist", ["--f", "1", "--q", "2", "--aggregator", "multiKrum"]),
      ("ps-mnist", ["--f", "1", "--aggregator", "krum:f=1", "--pre-aggregator", "nnm"]),
      ("ps-mnist", ["--backend", "thread*1,thread", "--workers", "1"]),
      ("p2p-mnist", ["--mode", "async", "--f", "2"]),
    ]
    for (name, arguments) in cases {
      let run = try await ExampleProgram(name)(small + arguments)
      #expect(run.status == 0, "\(name) \(arguments): \(run.errors)")
    }
  }

  @Test("actor-demo refuses more than one of a place, since it shows one")
  func counts() async throws {
    let program = try ExampleProgram("actor-demo")
    for backend in ["thread*4", "process,thread*2", "thread,process,thread"] {
      let run = try await program(["--backend", backend])
      #expect(run.status == 1, "\(backend)")
      #expect(run.output.isEmpty)
      #expect(run.errors.contains("without a count"), "\(run.errors)")
    }
    #expect(try await program(["--backend", "thread*1"]).status == 0)
  }

  @Test("p2p-mnist with --mode async hears a neighbor in each round, however many may lie")
  func quorum() async throws {
    let program = try ExampleProgram("p2p-mnist")
    for topology in ["star", "ring:k=1"] {
      let flags = small + ["--mode", "async", "--topology", topology, "--byzantine", "2"]
      var digests: [String] = []
      for quorum in [[], ["--quorum", "1"], ["--quorum", "0"]] {
        digests.append(try await program(flags + quorum).report.digest)
      }
      #expect(digests[0] == digests[1], "\(topology)")
      #expect(digests[0] != digests[2], "\(topology)")
    }
    // Where there is nobody to hear, nobody is waited for.
    let alone = ["--mode", "async", "--topology", "erdosRenyi:p=0,seed=1"]
    let run = try await program(small + alone)
    #expect(run.status == 0, "\(run.errors)")
  }

  @Test("p2p-mnist with --mode async tests models at the end only, in one process and on a host")
  func asynchronousTests() async throws {
    let program = try ExampleProgram("p2p-mnist")
    // One round more than from one test to the next, in step.
    let flags = ["--batch-size", "8", "--model", "softmax", "--mode", "async", "--rounds", "51"]
    let token = "0123456789abcdef"
    let listener = TCPListenerOptions(token: try Token(token.utf8))
    let runs = try await withWorkerServer(registry: .byzKit, listener: listener) { server in
      [
        try await program(flags + ["--json"]),
        try await program(
          flags + ["--json", "--remote-hosts", server.address],
          environment: ["BYZKIT_TOKEN": token]),
      ]
    }
    for run in runs {
      #expect(run.status == 0, "\(run.errors)")
      let tests = run.errors.split(separator: "\n").filter { $0.hasPrefix("round ") }
      #expect(tests.count == 1, "\(run.errors)")
      let words = tests.first?.split(separator: " ") ?? []
      #expect(words.dropFirst().first == "51", "\(run.errors)")
    }
    for hosts in [[], ["--remote-hosts", "tcp://127.0.0.1:1"]] {
      let run = try await program(flags + hosts + ["--eval-interval", "10"])
      #expect(run.status != 0)
      #expect(run.errors.contains("--eval-interval is for --mode sync"), "\(run.errors)")
    }
  }

  @Test("ps-mnist refuses, before it trains, to save where no file can be written")
  func save() async throws {
    let program = try ExampleProgram("ps-mnist")
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "byzkit-save-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for path in [folder.path, "\(folder.path)/", "\(folder.path)/none/model.npy", "/dev/null"] {
      let run = try await program(small + ["--save", path])
      #expect(run.status == 1, "\(path)")
      // Neither a report nor a test of the model.
      #expect(run.output.isEmpty)
      #expect(run.errors.split(separator: "\n").count == 1, "\(run.errors)")
      #expect(run.errors.contains("--save: Cannot"), "\(run.errors)")
    }
    // A file that is there stays until there is a model to put in its place.
    let file = folder.appending(path: "model.npy")
    try Data("kept".utf8).write(to: file)
    let failed = try await program(small + ["--save", file.path, "--data-root", "/nowhere"])
    #expect(failed.status == 1)
    #expect(try Data(contentsOf: file) == Data("kept".utf8))
    let run = try await program(small + ["--save", file.path])
    #expect(run.status == 0, "\(run.errors)")
    #expect(try Tensor<Float>(npy: file.path).shape.isEmpty == false)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["model.npy"])
  }
}
