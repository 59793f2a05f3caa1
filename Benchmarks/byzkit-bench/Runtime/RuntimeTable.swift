import Foundation

/// Everything one run found, as written by `--json`.
struct RuntimeReport: Codable {
  let machine: Machine
  var figures: [RuntimeFigure]
  /// What could not be measured, and why.
  var notes: [String]
}

extension [RuntimeFigure] {
  var grid: Grid {
    Grid(
      ["row", "backend", "p50", "p99", "rate", "limit", ""], words: [0, 1, 6], lines: map(\.cells))
  }
}

extension RuntimeFigure {
  fileprivate var cells: [String] {
    let limitText =
      switch limit {
      case .p50(let most): "≤ \(Self.time(most))"
      case .rate(let least): "≥ \(Self.amount(least, unit))"
      case .most(let most): "≤ \(Self.amount(most, unit))"
      case nil: ""
      }
    return [
      row, backend, p50.map(Self.time) ?? "", p99.map(Self.time) ?? "",
      rate.map { Self.amount($0, unit) } ?? "", limitText,
      isKept.map { $0 ? "ok" : "missed" } ?? "",
    ]
  }

  private static func time(_ microseconds: Double) -> String {
    microseconds < 10_000
      ? String(format: "%.1f µs", microseconds) : String(format: "%.1f ms", microseconds / 1000)
  }

  private static func amount(_ amount: Double, _ unit: String) -> String {
    String(format: amount < 100 ? "%.2f" : "%.0f", amount) + " \(unit)"
  }
}
