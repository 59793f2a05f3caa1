import ByzKit
import ByzRuntime
import CoreMetrics
import Dispatch
import Foundation
import Synchronization

/// Keeps counters by label, and writes them to a file as one object of JSON, which is there whole or not at all.
///
/// It has nothing but counters: what else is asked for counts nothing.
final class MetricsFile: MetricsFactory {
  private let path: String
  private let counters = Monitor<[String: FileCounter]>([:])
  /// What the file holds.
  private let written = Monitor<Data?>(nil)
  /// Whether it could not be written the last time.
  private let isFailing = Atomic(false)

  init(path: String) { self.path = path }

  /// Writes the file each second, until what this returns is cancelled; tells once when it cannot, until it can again.
  func writeEachSecond(
    failed: @escaping @Sendable (any Error) -> Void
  ) -> any DispatchSourceTimer {
    let timer = DispatchSource.makeTimerSource(queue: .global())
    timer.setEventHandler {
      var failure: (any Error)?
      do { try self.write() } catch { failure = error }
      let hadFailed = self.isFailing.exchange(failure != nil, ordering: .relaxed)
      if let failure, !hadFailed { failed(failure) }
    }
    timer.schedule(deadline: .now() + .seconds(1), repeating: .seconds(1))
    timer.resume()
    return timer
  }

  /// Writes the file, unless it holds the same already; throws `FileError`.
  func write() throws {
    // Under the lock from the beginning, so that older numbers take no newer ones' place.
    try written.withLock { written in
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      let counts = counters.withLock { $0 }.mapValues(\.count)
      let bytes = try encoder.encode(counts) + Data("\n".utf8)
      guard bytes != written else { return }
      let file = try OutputFile(path: path, byteCount: bytes.count)
      file.withUnsafeMutableBytes { $0.copyBytes(from: bytes) }
      _ = try file.commit()
      written = bytes
    }
  }

  func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    counters.withLock { counters in
      let counter = counters[label] ?? FileCounter()
      counters[label] = counter
      return counter
    }
  }

  func makeRecorder(
    label: String, dimensions: [(String, String)], aggregate: Bool
  ) -> any RecorderHandler {
    NOOPMetricsHandler.instance
  }

  func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    NOOPMetricsHandler.instance
  }

  // What has been counted stays in the file.
  func destroyCounter(_ handler: any CounterHandler) {}
  func destroyRecorder(_ handler: any RecorderHandler) {}
  func destroyTimer(_ handler: any TimerHandler) {}
}

private final class FileCounter: CounterHandler {
  private let counted = Monitor<Int64>(0)
  var count: Int64 { counted.withLock { $0 } }

  func increment(by amount: Int64) {
    counted.withLock { $0 = $0.addingReportingOverflow(amount).partialValue }
  }
  func reset() { counted.withLock { $0 = 0 } }
}
