public import ByzRuntime
public import CoreMetrics

/// Counts what happens at a `WorkerServer`, for whatever the program has given to `MetricsSystem.bootstrap`.
///
/// ```swift
/// var options = WorkerServerOptions()
/// options.observer = WorkerMetrics().record
/// ```
///
/// Counters: `byzkit_worker_connections`, `byzkit_worker_connections_ended`, `byzkit_worker_calls`, `byzkit_worker_received_bytes`,
/// `byzkit_worker_sent_bytes`.
public struct WorkerMetrics: Sendable {
  private let connections: Counter
  private let ended: Counter
  private let calls: Counter
  private let received: Counter
  private let sent: Counter

  /// Counters of a factory.
  public init(factory: any MetricsFactory = MetricsSystem.factory) {
    connections = Counter(label: "byzkit_worker_connections", dimensions: [], factory: factory)
    ended = Counter(label: "byzkit_worker_connections_ended", dimensions: [], factory: factory)
    calls = Counter(label: "byzkit_worker_calls", dimensions: [], factory: factory)
    received = Counter(label: "byzkit_worker_received_bytes", dimensions: [], factory: factory)
    sent = Counter(label: "byzkit_worker_sent_bytes", dimensions: [], factory: factory)
  }

  /// Counts an event.
  @Sendable public func record(_ event: WorkerServerEvent) {
    switch event {
    case .connected: connections.increment()
    case .received(let byteCount, let isCall):
      received.increment(by: byteCount)
      if isCall { calls.increment() }
    case .sent(let byteCount): sent.increment(by: byteCount)
    case .ended: ended.increment()
    }
  }
}
