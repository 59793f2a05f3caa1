import ByzKit
import ByzLaunch
import ByzRuntime
import ByzTCP
import Foundation
import Testing

struct WorkerStatus: Decodable {
  let listening: String
  let pid: Int32
  let kernels: KernelVariant
}

struct WorkerEnd: Decodable {
  let ended: String
  let totals: WorkerServerTotals
}

/// A worker that listens, in a process of its own.
final class WorkerProgram {
  let process: Process
  let status: WorkerStatus
  private let output: FileHandle

  init(
    _ tool: Tool, _ arguments: String..., overUCX: Bool = false,
    environment: [String: String] = [:],
    log: (level: String, file: FileHandle?) = ("critical", nil)
  ) throws {
    process = try tool.process(
      ["worker", "--listen", "127.0.0.1:0", "--log-level", log.level]
        + (overUCX ? ["--ucx"] : []) + arguments,
      environment: environment)
    if let file = log.file { process.standardError = file }
    let pipe = Pipe()
    process.standardOutput = pipe
    output = pipe.fileHandleForReading
    try process.run()
    var line = Data()
    while let byte = try output.read(upToCount: 1), byte != Data("\n".utf8) { line += byte }
    status = try JSONDecoder().decode(WorkerStatus.self, from: line)
  }

  deinit { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }

  /// Its address as a backend.
  func backend(_ options: BackendOptions = BackendOptions()) throws -> any WorkerBackend {
    try #require(BackendSpecification.list(status.listening).first).backend(options)
  }

  /// What it says at its end.
  /// - Parameter isTerminating: whether it has been told to end: a second signal would not let it finish.
  func end(isTerminating: Bool = false) throws -> WorkerEnd {
    if !isTerminating { process.terminate() }
    let line = try output.readToEnd() ?? Data()
    process.waitUntilExit()
    return try JSONDecoder().decode(WorkerEnd.self, from: line)
  }
}

/// What the workers aggregate.
let workerVectors: [Tensor<Float>] = (0..<7).map { .normal(shape: [1001], key: RandomKey($0)) }

/// Has two workers at the address aggregate.
func expectMedian(
  on address: String, _ options: BackendOptions = BackendOptions(),
  sourceLocation: SourceLocation = #_sourceLocation
) async throws {
  let workers = try WorkerConfiguration.parsing("\(address)*2", options: options)
  let pooled = try await withActorPool(workers, registry: .byzKit) {
    try await Median().aggregate(workerVectors, on: $0, chunkSize: 256)
  }
  #expect(
    try pooled.hasSameBits(as: Median().aggregate(workerVectors)), sourceLocation: sourceLocation)
}
