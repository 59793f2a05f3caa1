import ByzRuntime
import Foundation

/// One of the example programs, run as a user would.
struct ExampleProgram {
  private let executable: URL
  private let name: String

  init(_ name: String) throws {
    self.name = name
    executable = try Self.executable(name)
  }

  /// What a run left behind.
  struct Run {
    let status: Int32
    let output: String
    let errors: String

    /// The last line of what it printed, which `--json` makes an object.
    var report: Report {
      get throws {
        let line = output.split(separator: "\n").last ?? ""
        return try JSONDecoder().decode(Report.self, from: Data(line.utf8))
      }
    }
  }

  /// What the training programs print as JSON; the last three are of those without a server.
  struct Report: Decodable {
    struct Node: Decodable {
      let name: String
      let role: String
      let samples: Int
      let accuracy: Double?
    }
    let testAccuracy: Double
    let rounds: Int
    let digest: String
    let nodes: [Node]
    let lowestAccuracy: Double?
    let highestAccuracy: Double?
    let diameter: Double?
  }

  /// Runs it to its end, without holding a thread that a server in this process may need.
  ///
  /// - Parameter errors: where errors go instead of into the result.
  func callAsFunction(
    _ arguments: [String], environment: [String: String] = [:], errors: FileHandle? = nil
  ) async throws -> Run {
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "byzkit-\(name)-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = ["output", "errors"].map { folder.appending(path: $0) }
    for file in files { try Data().write(to: file) }
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: files[0])
    process.standardError = try errors ?? FileHandle(forWritingTo: files[1])
    let isBegun = Monitor(false)
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (done: CheckedContinuation<Void, any Error>) in
        process.terminationHandler = { _ in done.resume() }
        do {
          try process.run()
          isBegun.withLock { $0 = true }
          if Task.isCancelled { process.terminate() }
        } catch {
          process.terminationHandler = nil
          done.resume(throwing: error)
        }
      }
    } onCancel: {
      if isBegun.withLock({ $0 }) { process.terminate() }
    }
    let texts = try files.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
    return Run(status: process.terminationStatus, output: texts[0], errors: texts[1])
  }

  /// Starts it, for as long as `body` runs, which gets the first line that it prints.
  func running<Result>(
    _ arguments: [String], _ body: (String) async throws -> Result
  ) async throws -> Result {
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    defer {
      process.terminate()
      process.waitUntilExit()
    }
    let (lines, line) = AsyncStream<String>.makeStream()
    output.fileHandleForReading.readabilityHandler = { handle in
      // It prints its first line whole; at its end nothing comes.
      line.yield(String(decoding: handle.availableData, as: UTF8.self))
      line.finish()
      handle.readabilityHandler = nil
    }
    return try await body(await lines.first { _ in true } ?? "")
  }

  /// It is built into the folder of the test bundle.
  private static func executable(_ name: String) throws -> URL {
    for bundle in [Bundle.main] + Bundle.allBundles {
      for start in [bundle.bundleURL, bundle.executableURL].compactMap({ $0 }) {
        var folder = start
        for _ in 0..<4 {
          folder.deleteLastPathComponent()
          let candidate = folder.appending(path: name)
          let kind = try? candidate.resourceValues(forKeys: [.isRegularFileKey])
          if kind?.isRegularFile == true { return candidate }
        }
      }
    }
    throw CocoaError(.fileNoSuchFile)
  }
}
