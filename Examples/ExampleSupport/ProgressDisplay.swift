import Foundation

/// Shows how far a run is: a bar on a terminal, plain lines elsewhere.
package final class ProgressDisplay: Sendable {
  private let total: Int
  private let stream: FileHandle
  private let isTerminal: Bool
  private let usesColor: Bool
  private let clock = ContinuousClock()
  private let start: ContinuousClock.Instant

  package init(total: Int, toStandardError: Bool) {
    self.total = total
    stream = toStandardError ? .standardError : .standardOutput
    let environment = ProcessInfo.processInfo.environment
    isTerminal = isatty(stream.fileDescriptor) == 1 && environment["TERM"] != "dumb"
    usesColor = isTerminal && (environment["NO_COLOR"] ?? "").isEmpty
    start = clock.now
  }

  /// Redraws the bar, on a terminal.
  package func show(round: Int) {
    guard isTerminal else { return }
    let seconds = (clock.now - start).seconds
    let rate = Double(round) / max(seconds, 1e-9)
    // No more than a billion seconds: the quotient need not fit in an integer.
    let remaining = Int(min(1e9, (Double(total - round) / rate).rounded(.up)))
    let width = 30
    let filled = width * round / total
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    let text = String(
      format: " %d/%d  %.1f rounds/s  %d:%02d left", round, total, rate, remaining / 60,
      remaining % 60)
    write("\r\u{1B}[K" + (usesColor ? "\u{1B}[36m\(bar)\u{1B}[0m" : bar) + text)
  }

  /// Writes how far training is, in a line that stays.
  package func log(round: Int, loss: Float?, accuracy: Double) {
    let loss = loss.map { $0.isFinite ? String(format: "%.3f", $0) : "not finite" } ?? "–"
    note(String(format: "round %5d  loss %@  test accuracy %.3f", round, loss, accuracy))
  }

  /// Writes a line that stays.
  package func note(_ line: String) { write((isTerminal ? "\r\u{1B}[K" : "") + line + "\n") }

  /// Where nobody reads it any more, training goes on.
  private func write(_ text: String) { try? stream.write(contentsOf: Data(text.utf8)) }
}
