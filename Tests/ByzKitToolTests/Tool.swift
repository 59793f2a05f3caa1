import ByzKit
import Foundation
import Testing

/// The built executable, run as a user would.
struct Tool {
  /// A folder of the test's own, in which the tool runs.
  let folder: URL

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "byzkit-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  }

  /// What a command left behind.
  struct Result {
    let status: Int32
    let output: String
    let errors: String
  }

  /// Removes the folder.
  func remove() { try? FileManager.default.removeItem(at: folder) }

  /// The files in the folder.
  var files: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).sorted()
  }

  /// The path of a file in the folder.
  func path(_ name: String) -> String { folder.appending(path: name).path }

  /// Writes a matrix of small numbers.
  func write(_ name: String, n: Int = 9, d: Int = 20, key: UInt64 = 1) throws {
    try Tensor<Float>.normal(shape: [n, d], key: RandomKey(key)).write(npy: path(name))
  }

  /// A process that has not been started.
  func process(_ arguments: [String], environment: [String: String] = [:]) throws -> Process {
    let process = Process()
    process.executableURL = try Self.executable()
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    return process
  }

  /// Runs a command to its end. What it prints must fit in a pipe.
  func callAsFunction(
    _ arguments: String..., input: Data = Data(), environment: [String: String] = [:]
  ) throws -> Result {
    try self(arguments, input: input, environment: environment)
  }

  /// The same.
  func callAsFunction(
    _ arguments: [String], input: Data = Data(), environment: [String: String] = [:]
  ) throws -> Result {
    let process = try process(arguments, environment: environment)
    let (standardInput, output, errors) = (Pipe(), Pipe(), Pipe())
    process.standardInput = standardInput
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    if !input.isEmpty { try standardInput.fileHandleForWriting.write(contentsOf: input) }
    try standardInput.fileHandleForWriting.close()
    let outputData = try output.fileHandleForReading.readToEnd() ?? Data()
    let errorData = try errors.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, output: String(decoding: outputData, as: UTF8.self),
      errors: String(decoding: errorData, as: UTF8.self))
  }

  /// It is built into the folder of the test bundle.
  private static func executable() throws -> URL {
    let bundles = [Bundle.main] + Bundle.allBundles
    for bundle in bundles {
      for start in [bundle.bundleURL, bundle.executableURL].compactMap({ $0 }) {
        var folder = start
        for _ in 0..<4 {
          folder.deleteLastPathComponent()
          let candidate = folder.appending(path: "byzkit")
          var isDirectory: ObjCBool = false
          if FileManager.default.fileExists(atPath: candidate.path, isDirectory: &isDirectory),
            !isDirectory.boolValue, FileManager.default.isExecutableFile(atPath: candidate.path)
          {
            return candidate
          }
        }
      }
    }
    throw CocoaError(.fileNoSuchFile)
  }
}
