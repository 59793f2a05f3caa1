import ByzAuthentication
import ByzKit
import ByzTCP
import ByzUCX
import Foundation
import Testing

@Suite("Examples", .timeLimit(.minutes(10)))
struct ExampleTests {
  /// Little work: what is tested is who does it.
  private let small = [
    "--rounds", "2", "--batch-size", "8", "--model", "softmax", "--eval-interval", "0", "--json",
  ]

  @Test("ps-mnist gives one digest on threads, child processes, a host, and a mixture")
  func backends() async throws {
    let program = try ExampleProgram("ps-mnist")
    let (digests, subtasks) = try await withWorkerServer(registry: .byzKit) { server in
      var digests: [String] = []
      let address = server.address
      for backend in ["thread", "process", address, "thread,process*1,\(address)*1"] {
        let run = try await program(small + ["--backend", backend])
        #expect(run.status == 0, "\(backend): \(run.errors)")
        digests.append(try run.report.digest)
      }
      if UCX.isAvailable {
        try await withUCXWorkerServer(on: "127.0.0.1:0", registry: .byzKit) { server in
          let run = try await program(small + ["--backend", "process*1,\(server.address)*1"])
          #expect(run.status == 0, "\(server.address): \(run.errors)")
          digests.append(try run.report.digest)
          #expect(server.totals.calls > 0)
        }
      }
      return (digests, server.totals.calls)
    }
    #expect(Set(digests).count == 1, "\(digests)")
    #expect(subtasks > 0)
  }

  @Test("a program refuses kernels that there are not")
  func kernels() async throws {
    for (name, arguments) in [("ps-mnist", small), ("mpi-ps", ["--rank", "0", "--size", "2"])] {
      let run = try await ExampleProgram(name)(arguments, environment: ["BYZKIT_KERNELS": "avx3"])
      #expect(run.status == 1)
      #expect(run.errors.contains("BYZKIT_KERNELS is 'avx3'"), "\(name): \(run.errors)")
    }
  }

  @Test("ps-mnist says in one line what is wrong with a backend or an attack, and exits with 1")
  func badInput() async throws {
    let program = try ExampleProgram("ps-mnist")
    for (arguments, words) in [
      (["--backend", "moon"], ["moon", "thread*4"]),
      (["--backend", "process*0"], ["process*0"]),
      (["--attack", "modelReplacement"], ["modelReplacement:gamma="]),
      (["--token-file", "/nowhere"], ["--token-file", "none is named"]),
      (["--backend", "tcp://127.0.0.1:1", "--token-file", "/nowhere"], ["/nowhere"]),
      (["--backend", "ucx://127.0.0.1:1", "--tls-roots", "/nowhere"], ["UCX has no TLS"]),
      (["--data-root", "/nowhere"], ["/nowhere"]),
      (["--q", "3"], ["median", "q"]),
    ] {
      let run = try await program(small + arguments)
      #expect(run.status == 1, "\(arguments)")
      #expect(run.output.isEmpty)
      #expect(run.errors.split(separator: "\n").count == 1, "\(run.errors)")
      for word in words { #expect(run.errors.contains(word), "\(run.errors)") }
    }
  }

  #if os(Linux)
    @Test(
      "ps-mnist trains to its end though nobody reads how far it is, and takes negative numbers")
    func unreadProgress() async throws {
      let program = try ExampleProgram("ps-mnist")
      let run = try await program(
        small + ["--attack-scale", "-5"],
        errors: try #require(FileHandle(forWritingAtPath: "/dev/full")))
      #expect(run.status == 0)
      #expect(try run.report.digest.isEmpty == false)
    }
  #endif

  @Test("A wrong token is one line and exit code 1")
  func wrongToken() async throws {
    let program = try ExampleProgram("distributed-mnist")
    let listener = TCPListenerOptions(token: try Token("0123456789abcdef".utf8))
    let run = try await withWorkerServer(registry: .byzKit, listener: listener) { server in
      try await program(
        small + ["--remote-hosts", server.address],
        environment: ["BYZKIT_TOKEN": "fedcba9876543210"])
    }
    #expect(run.status == 1)
    #expect(run.errors.split(separator: "\n").count == 1, "\(run.errors)")
    #expect(run.errors.contains("may want a token, or another one"), "\(run.errors)")
  }

  @Test("distributed-mnist gives the digest of one process on two hosts, whatever the chunks")
  func hosts() async throws {
    let distributed = try ExampleProgram("distributed-mnist")
    let local = try await distributed(small).report
    #expect(local.nodes.map(\.name) == ["honest-0", "honest-1", "honest-2", "byzantine-0"])
    let remote = try await withWorkerServer(registry: .byzKit) { first in
      try await withWorkerServer(registry: .byzKit) { second in
        let hosts = "\(first.address),\(second.address)"
        let run = try await distributed(small + ["--remote-hosts", hosts, "--chunk-size", "700"])
        #expect(run.status == 0, "\(run.errors)")
        #expect(first.totals.calls > 0 && second.totals.calls > 0)
        return try run.report
      }
    }
    #expect(remote.digest == local.digest)
    let flags = ["--honest", "3", "--seed", "42", "--aggregator", "multiKrum:q=2"]
    #expect(try await ExampleProgram("ps-mnist")(small + flags).report.digest == local.digest)
  }

  @Test("distributed-mnist refuses places that are no hosts")
  func noHosts() async throws {
    let run = try await ExampleProgram("distributed-mnist")(small + ["--remote-hosts", "thread"])
    #expect(run.status == 1)
    #expect(run.errors.contains("tcp://host:port"), "\(run.errors)")
  }

  @Test("p2p-mnist gives one digest on threads and child processes, in step and not")
  func peers() async throws {
    let program = try ExampleProgram("p2p-mnist")
    for mode in [["--topology", "ring:k=2"], ["--mode", "async", "--quorum", "3"]] {
      var digests: Set<String> = []
      for workers in [["--workers", "1"], ["--workers", "3"], ["--backend", "thread,process"]] {
        let run = try await program(small + mode + workers)
        #expect(run.status == 0, "\(run.errors)")
        let report = try run.report
        digests.insert(report.digest)
        #expect(report.nodes.map { $0.accuracy != nil } == [true, true, true, true, false])
        let mean = report.nodes.compactMap(\.accuracy).reduce(0, +) / 4
        #expect(abs(report.testAccuracy - mean) < 1e-9)
        #expect(report.diameter != nil)
      }
      #expect(digests.count == 1, "\(mode)")
    }
  }

  @Test(
    "p2p-mnist gives the digest of one process on a mesh of hosts, and passes on no model itself")
  func mesh() async throws {
    let program = try ExampleProgram("p2p-mnist")
    let flags = small + ["--topology", "ring:k=1", "--pre-aggregator", "clipping:threshold=5"]
    let local = try await program(flags).report
    let token = "0123456789abcdef"
    let listener = TCPListenerOptions(token: try Token(token.utf8))
    let (remote, errors) = try await withWorkerServer(registry: .byzKit, listener: listener) {
      first in
      try await withWorkerServer(registry: .byzKit, listener: listener) { second in
        let hosts = "\(first.address),\(second.address)"
        let run = try await program(
          flags + ["--remote-hosts", hosts], environment: ["BYZKIT_TOKEN": token])
        #expect(run.status == 0, "\(run.errors)")
        // One connection for each of five nodes, and one for each of the ring's five edges.
        #expect(first.totals.connections + second.totals.connections >= 10)
        return (try run.report, run.errors)
      }
    }
    #expect(remote.digest == local.digest)
    #expect(!errors.contains("went through this program"), "\(errors)")
  }

  @Test("p2p-mnist refuses what a topology does not allow")
  func badPeers() async throws {
    let program = try ExampleProgram("p2p-mnist")
    for (arguments, words) in [
      (["--topology", "moon"], "moon"),
      (["--topology", "torus:rows=2,columns=3"], "rows × columns"),
      (["--topology", "torus:rows=1000000,columns=1000000"], "rows × columns"),
      (["--topology", "torus:rows=4611686018427387904,columns=4"], "rows × columns"),
      (["--momentum", "1"], "momentum"),
      (["--mode", "async", "--quorum", "9"], "quorum of 9"),
      (["--topology", "star", "--aggregator", "krum"], "krum"),
      (["--tls-roots", "roots.pem"], "--tls-roots is for workers on other machines"),
    ] {
      let run = try await program(small + arguments)
      #expect(run.status == 1, "\(arguments)")
      #expect(run.errors.split(separator: "\n").count == 1, "\(run.errors)")
      #expect(run.errors.lowercased().contains(words), "\(run.errors)")
    }
  }

  @Test("actor-demo gets the same from an actor on a thread, in a process, on a host and over UCX")
  func actors() async throws {
    let run = try await ExampleProgram("actor-demo")([])
    #expect(run.status == 0, "\(run.errors)")
    for name in ["Thread", "Process", "TCP"] + (UCX.isAvailable ? ["UCX"] : []) {
      #expect(run.output.contains("\(name) actor: 10 + 20 = 30\n"))
      #expect(run.output.contains("\(name) actor: 1 / 0 throws DivisionByZero, and 9 / 2 = 4.5\n"))
      #expect(run.output.contains("\(name) actor: the second actor reads: mail"))
    }
    #expect(run.output.contains("Process actor: after kill -9 a call throws workerLost"))
  }

  @Test(
    "actor-demo hosts its actors for another of its processes, over TCP and UCX",
    arguments: UCX.isAvailable ? ["tcp", "ucx"] : ["tcp"])
  func hostedActors(_ transport: String) async throws {
    let program = try ExampleProgram("actor-demo")
    let flags = ["--listen", "127.0.0.1:0"] + (transport == "ucx" ? ["--ucx"] : [])
    try await program.running(flags) { line in
      let address = try #require(line.firstMatch(of: /Listening at ([^;]+);/)?.output.1)
      #expect(address.hasPrefix("\(transport)://127.0.0.1:"))
      let run = try await program(["--backend", String(address)])
      #expect(run.status == 0, "\(run.errors)")
      #expect(
        run.output.contains("\(transport.uppercased()) actor: 10 + 20 = 30\n"), "\(run.output)")
    }
  }

  @Test("actor-demo refuses flags that would do nothing")
  func demoFlags() async throws {
    let program = try ExampleProgram("actor-demo")
    for (arguments, words) in [
      (["--ucx"], "give --listen, too"),
      (["--listen", "127.0.0.1:0", "--ucx", "--tls-roots", "roots.pem"], "UCX has no TLS"),
    ] {
      let run = try await program(arguments)
      #expect(run.status != 0)
      #expect(run.errors.contains(words), "\(arguments): \(run.errors)")
    }
  }
}
