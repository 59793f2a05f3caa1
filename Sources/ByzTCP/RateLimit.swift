/// How much may come in within a second. A value without a clock: every time comes in, in nanoseconds.
///
/// What comes takes its time, a second divided by the limit for each byte and each message; nobody is to be further ahead than one
/// second's worth.
package struct RateLimit: Sendable {
  private static let second = 1e9
  private let nanosecondsPerByte: Double
  private let nanosecondsPerMessage: Double
  /// Until when all that has come is paid for: bytes, and messages.
  private var bytesPaid = 0.0
  private var messagesPaid = 0.0

  /// Nil for a number means that there is no such limit.
  package init(bytesPerSecond: Int?, messagesPerSecond: Int?) {
    nanosecondsPerByte = bytesPerSecond.map { Self.second / Double($0) } ?? 0
    nanosecondsPerMessage = messagesPerSecond.map { Self.second / Double($0) } ?? 0
  }

  package mutating func received(bytes count: Int, at now: UInt64) {
    bytesPaid = max(bytesPaid, Double(now)) + Double(count) * nanosecondsPerByte
  }

  package mutating func receivedMessage(at now: UInt64) {
    messagesPaid = max(messagesPaid, Double(now)) + nanosecondsPerMessage
  }

  /// How many nanoseconds nothing more is to be taken; zero when more may come.
  package func pause(at now: UInt64) -> Int64 {
    Int64(max(0, max(bytesPaid, messagesPaid) - Double(now) - Self.second).rounded(.up))
  }
}
