import ByzKit
import ByzLaunch
import ByzRuntime
import ByzUCX
import Foundation
import Testing

@Suite(
  "A host over UCX that is lost", .timeLimit(.minutes(2)),
  .enabled(if: UCX.isAvailable, "UCX is not installed: apt-get install libucx0 libucx-dev"))
struct LostHostTests {
  /// Has a worker of the host aggregate until a signal to its process has ended that.
  ///
  /// - Returns: the error that it ends with.
  private func loss(
    of host: WorkerProgram, by signal: Int32
  ) async throws -> RuntimeError? {
    let worker = WorkerConfiguration(backend: try host.backend(), restarts: .never)
    let liveness = Liveness(interval: .milliseconds(50), timeout: .seconds(4))
    return try await withActorPool(worker, registry: .byzKit, liveness: liveness) { pool in
      let median = try await Median().aggregate(workerVectors, on: pool, chunkSize: 256)
      #expect(try median == Median().aggregate(workerVectors))
      #expect(kill(host.process.processIdentifier, signal) == 0)
      let start = ContinuousClock.now
      let error = await #expect(throws: RuntimeError.self) {
        while true { _ = try await Median().aggregate(workerVectors, on: pool, chunkSize: 256) }
      }
      #expect(ContinuousClock.now - start < .seconds(20))
      #expect(pool.statistics.map(\.isLost) == [true])
      return error
    }
  }

  @Test(
    "a host over UCX whose process is killed is a lost worker soon, through shared memory too")
  func killed() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let error = try await loss(of: WorkerProgram(tool, overUCX: true), by: SIGKILL)
    #expect([.workerLost, .noCapableWorker].contains(error?.code))
  }

  @Test("a host over UCX that is stopped is lost by its silence, and lets go when it goes on")
  func stopped() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let path = tool.path("log")
    try Data().write(to: URL(filePath: path))
    let file = try #require(FileHandle(forWritingAtPath: path))
    let host = try WorkerProgram(tool, overUCX: true, log: ("info", file))
    // UCX has nothing to report: the process is there.
    let reason = String(describing: try await loss(of: host, by: SIGSTOP))
    #expect(reason.contains("workerLost: There was no sign of life"), "\(reason)")
    #expect(kill(host.process.processIdentifier, SIGCONT) == 0)
    // The end of the connection that was given up is told with its reason.
    while try !String(contentsOfFile: path, encoding: .utf8).contains("reason=") {
      try Task.checkCancellation()
      await Task.yield()
    }
    try await expectMedian(on: host.status.listening)
    let end = try host.end()
    #expect(end.ended == host.status.listening && end.totals.connections == 3)
    #expect(host.process.terminationReason == .exit && host.process.terminationStatus == 0)
  }
}
