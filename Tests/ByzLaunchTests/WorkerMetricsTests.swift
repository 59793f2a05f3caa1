import ByzLaunch
import ByzRuntime
import CoreMetrics
import MetricsTestKit
import Testing

@Suite("Metrics of a worker server")
struct WorkerMetricsTests {
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
