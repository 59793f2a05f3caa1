import ByzLaunch
import Foundation
import Testing

@Suite("The parameter server of a launcher", .timeLimit(.minutes(10)))
struct MPITests {
  private static let mpirun = ["/usr/bin/mpirun", "/usr/local/bin/mpirun"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  @Test(
    "process 0 trains on the others, with the same bits as alone",
    .enabled(if: mpirun != nil, "There is no mpirun: apt-get install openmpi-bin"))
  func launched() async throws {
    let program = try #require(Self.program("mpi-ps")).path
    let end = try await Self.run(
      try #require(Self.mpirun), ["--oversubscribe", "-n", "4", program],
      [
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "MASTER_PORT": "\(UInt16.random(in: 20_000..<32_000))",
      ])
    #expect(end.output == "3 workers, 30 rounds, same bits: true\n", "\(end.errors)")
    #expect(end.status == 0)
  }

  @Test("trains without a launcher, when flags say who is who")
  func flags() async throws {
    let program = try #require(Self.program("mpi-ps")).path
    let port = UInt16.random(in: 20_000..<32_000)
    @Sendable func process(_ rank: Int) async throws -> (
      status: Int32, output: String, errors: String
    ) {
      try await Self.run(
        program, ["--rank", "\(rank)", "--size", "2", "--rendezvous", "127.0.0.1:\(port)"])
    }
    async let worker = process(1)
    let server = try await process(0)
    #expect(server.output == "1 workers, 30 rounds, same bits: true\n", "\(server.errors)")
    #expect(try await (server.status, worker.status) == (0, 0))
  }

  @Test(
    "trains by the variables of launchers that are not here",
    arguments: [
      ["RANK": "%", "WORLD_SIZE": "3", "LOCAL_RANK": "%", "MASTER_ADDR": "127.0.0.1"],
      [
        "SLURM_PROCID": "%", "SLURM_NTASKS": "3", "SLURM_LOCALID": "%",
        "SLURM_STEP_NODELIST": "localhost", "SLURM_JOB_NODELIST": "localhost,other[1-2]",
      ],
    ])
  func otherLaunchers(_ launcher: [String: String]) async throws {
    let program = try #require(Self.program("mpi-ps")).path
    let port = UInt16.random(in: 20_000..<32_000)
    @Sendable func process(_ rank: Int) async throws -> (
      status: Int32, output: String, errors: String
    ) {
      let variables = launcher.mapValues { $0 == "%" ? "\(rank)" : $0 }
      return try await Self.run(program, [], variables.merging(["MASTER_PORT": "\(port)"]) { $1 })
    }
    async let first = process(1)
    async let second = process(2)
    let server = try await process(0)
    #expect(server.output == "2 workers, 30 rounds, same bits: true\n", "\(server.errors)")
    #expect(try await (server.status, first.status, second.status) == (0, 0, 0))
  }

  @Test("waits for the others for a while only, and names them")
  func missing() async throws {
    let program = try #require(Self.program("mpi-ps")).path
    let port = UInt16.random(in: 20_000..<32_000)
    @Sendable func process(_ rank: Int, patience: Int) async throws -> (
      status: Int32, output: String, errors: String
    ) {
      try await Self.run(
        program,
        [
          "--rank", "\(rank)", "--size", "3", "--rendezvous", "127.0.0.1:\(port)",
          "--patience", "\(patience)",
        ])
    }
    // Where the machine stands still, the time may be over before the first attempt is.
    var early = try await process(1, patience: 4)
    for patience in [20, 60] where !early.errors.contains("efused") {
      early = try await process(1, patience: patience)
    }
    #expect(
      early.status == 1 && early.errors.contains("Process 0 did not answer")
        && early.errors.contains("efused"), "\(early.errors)")
    #expect(try await process(1, patience: .max).status == 64)
    async let present = process(2, patience: 120)
    let end = try await process(0, patience: 30)
    #expect(end.status == 1 && end.output.isEmpty)
    #expect(end.errors.contains("within 30 seconds: process 1."), "\(end.errors)")
    #expect(try await present.status == 1)
  }

  /// Runs a program to its end, for which no thread waits.
  private static func run(
    _ path: String, _ arguments: [String], _ variables: [String: String] = [:]
  ) async throws -> (status: Int32, output: String, errors: String) {
    let process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    // Not those of a launcher that started the tests.
    process.environment = ProcessInfo.processInfo.environment
      .filter { !LaunchEnvironment.isLauncherVariable($0.key) }
      .merging(variables) { $1 }
    let (output, errors) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = errors
    let status = try await withCheckedThrowingContinuation { continuation in
      process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
      do { try process.run() } catch { continuation.resume(throwing: error) }
    }
    // They say no more than a pipe holds.
    func text(_ pipe: Pipe) throws -> String {
      String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    }
    return (status, try text(output), try text(errors))
  }

  /// An executable of this package, beside the bundle of the tests.
  private static func program(_ name: String) -> URL? {
    for bundle in [Bundle.main] + Bundle.allBundles {
      for start in [bundle.bundleURL, bundle.executableURL].compactMap({ $0 }) {
        var folder = start
        for _ in 0..<4 {
          folder.deleteLastPathComponent()
          let candidate = folder.appending(path: name)
          let values = try? candidate.resourceValues(forKeys: [.isRegularFileKey])
          if values?.isRegularFile == true { return candidate }
        }
      }
    }
    return nil
  }
}
