import ByzKit
import Foundation
import Testing

@Suite("Metrics of byzkit worker", .timeLimit(.minutes(2)))
struct WorkerMetricsTests {
  @Test("it keeps a file with what it counts: when it listens, each second, and at its end")
  func metrics() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let host = try WorkerProgram(tool, "--metrics-file", "metrics.json")
    func counted() throws -> [String: Int] {
      let file = URL(filePath: tool.path("metrics.json"))
      return try JSONDecoder().decode([String: Int].self, from: Data(contentsOf: file))
    }
    let names = ["connections", "connections_ended", "calls", "received_bytes", "sent_bytes"]
    #expect(try Set(counted().keys) == Set(names.map { "byzkit_worker_\($0)" }))
    #expect(try counted().values.allSatisfy { $0 == 0 })
    try await expectMedian(on: host.status.listening)
    while try counted()["byzkit_worker_connections_ended"] != 2 {
      try Task.checkCancellation()
      await Task.yield()
    }
    let totals = try host.end().totals
    let values = [
      totals.connections, totals.connections, totals.calls, totals.bytesReceived, totals.bytesSent,
    ]
    for (name, value) in zip(names, values) {
      #expect(try counted()["byzkit_worker_\(name)"] == value, "\(name)")
    }
    #expect(tool.files == ["metrics.json"])
  }

  @Test("that the file cannot be written is logged, and it goes on serving")
  func unwrittenMetrics() async throws {
    let tool = try Tool()
    defer { tool.remove() }
    let path = tool.path("log")
    try Data().write(to: URL(filePath: path))
    let file = try #require(FileHandle(forWritingAtPath: path))
    let folder = tool.path("metrics")
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
    let host = try WorkerProgram(
      tool, "--metrics-file", "metrics/metrics.json", log: ("error", file))
    try FileManager.default.removeItem(atPath: folder)
    try await expectMedian(on: host.status.listening)
    #expect(try host.end().totals.connections == 2)
    #expect(host.process.terminationReason == .exit && host.process.terminationStatus == 0)
    let said = try String(contentsOfFile: path, encoding: .utf8)
    #expect(said.contains("the metrics were not written"), "\(said)")
  }
}
