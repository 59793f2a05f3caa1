/// Whether a message that has begun arrives fast enough. A value without a clock: every time comes
/// in, in nanoseconds.
package struct FrameProgress: Sendable {
  /// What is known at some moment.
  package enum Verdict: Hashable, Sendable {
    /// No message has begun.
    case idle
    /// Ask again at this time.
    case wait(until: UInt64)
    /// This many bytes have come in an interval that should have brought more.
    case tooSlow(byteCount: Int)
  }

  private let interval: UInt64
  private let minimumByteCount: Int
  /// Since when, and how much since then; nil between messages.
  private var mark: (time: UInt64, byteCount: Int)?

  /// - Parameters:
  ///   - interval: The nanoseconds over which the speed is averaged.
  ///   - minimumByteCount: What they must bring.
  package init(interval: UInt64, minimumByteCount: Int) {
    self.interval = interval
    self.minimumByteCount = minimumByteCount
  }

  /// Bytes have arrived.
  ///
  /// - Parameters:
  ///   - completed: Whether they completed at least one message.
  ///   - isAmidMessage: Whether they left one begun.
  package mutating func received(
    _ byteCount: Int, completed: Bool, isAmidMessage: Bool, at now: UInt64
  ) {
    if !isAmidMessage {
      mark = nil
    } else if completed || mark == nil {
      mark = (now, 0)
    } else {
      mark?.byteCount += byteCount
    }
  }

  /// What to think of the connection. Each interval that has passed is judged once.
  package mutating func verdict(at now: UInt64) -> Verdict {
    guard let mark else { return .idle }
    let end = mark.time + interval
    if now < end { return .wait(until: end) }
    if mark.byteCount < minimumByteCount { return .tooSlow(byteCount: mark.byteCount) }
    self.mark = (now, 0)
    return .wait(until: now + interval)
  }
}
