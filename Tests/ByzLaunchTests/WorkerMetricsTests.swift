import ByzKit
import ByzLaunch
import ByzRuntime
import ByzTCP
import ByzTensor
import CoreMetrics
import MetricsTestKit
import Testing

@Suite("Metrics of a worker server", .timeLimit(.minutes(3)))
struct WorkerMetricsTests {
  @Test("a server tells its observer what happens at it")
  func served() async throws {
    let factory = TestMetrics()
    var options = WorkerServerOptions()
    options.observer = WorkerMetrics(factory: factory).record
    let server = try await withWorkerServer(registry: .byzKit, options: options) { server in
      let vectors = (0..<5).map { Tensor<Float>.normal(shape: [600], key: RandomKey($0)) }
      try await withActorPool(WorkerConfiguration.parsing(server.address), registry: .byzKit) {
        pool in
        _ = try await Median().aggregate(vectors, on: pool, chunkSize: 256)
      }
      return server
    }
    let totals = server.totals
    for (name, total) in [
      ("connections", totals.connections), ("connections_ended", totals.connections),
      ("calls", totals.calls), ("received_bytes", totals.bytesReceived),
      ("sent_bytes", totals.bytesSent),
    ] {
      #expect(total > 0)
      #expect(
        try factory.expectCounter("byzkit_worker_\(name)").totalValue == Int64(total), "\(name)")
    }
  }

  @Test("each event is counted once, by the program's own factory")
  func counts() throws {
    let factory = TestMetrics()
    let metrics = WorkerMetrics(factory: factory)
    metrics.record(.connected(peer: "a"))
    metrics.record(.received(byteCount: 7, isCall: true))
    metrics.record(.received(byteCount: 5, isCall: false))
    metrics.record(.sent(byteCount: 3))
    metrics.record(.ended(peer: "a", RuntimeError(.stopped, "")))
    for (name, total) in [
      ("connections", 1), ("connections_ended", 1), ("calls", 1), ("received_bytes", 12),
      ("sent_bytes", 3),
    ] as [(String, Int64)] {
      #expect(try factory.expectCounter("byzkit_worker_\(name)").totalValue == total, "\(name)")
    }
  }
}
