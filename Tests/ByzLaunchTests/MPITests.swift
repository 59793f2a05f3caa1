import Foundation
import Testing

@Suite("Under mpirun", .timeLimit(.minutes(2)))
struct MPITests {
  private static let mpirun = ["/usr/bin/mpirun", "/usr/local/bin/mpirun"].first {
    FileManager.default.isExecutableFile(atPath: $0)
  }

  @Test(
    "process 0 trains on the others, with the same bits as alone",
    .enabled(if: mpirun != nil, "There is no mpirun: apt-get install openmpi-bin"))
  func parameterServer() throws {
    let process = Process()
    process.executableURL = URL(filePath: try #require(Self.mpirun))
    process.arguments = ["--oversubscribe", "-n", "4", try #require(Self.program("mpi-ps")).path]
    process.environment = ProcessInfo.processInfo.environment.merging([
      "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
      "MASTER_PORT": "\(UInt16.random(in: 20_000..<32_000))",
    ]) { $1 }
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let said = String(
      decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    process.waitUntilExit()
    #expect(said == "3 workers, 30 rounds, same bits: true\n")
    #expect(process.terminationStatus == 0)
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
