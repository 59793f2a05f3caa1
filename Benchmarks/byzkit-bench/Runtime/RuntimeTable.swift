import Foundation

/// Everything one run found, as written by `--json`.
struct RuntimeReport: Codable {
  let machine: Machine
  var figures: [RuntimeFigure]
  /// What could not be measured, and why.
  var notes: [String]
}

extension [RuntimeFigure] {
  private static var header: [String] { ["row", "backend", "p50", "p99", "rate", "limit", ""] }

  /// One aligned table.
  var table: String {
    let lines = [Self.header] + map(\.cells)
    let widths = Self.header.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    return lines.map { cells in
      let padded = cells.indices.map { column in
        let space = String(repeating: " ", count: widths[column] - cells[column].count)
        return [0, 1, 6].contains(column) ? cells[column] + space : space + cells[column]
      }
      return padded.joined(separator: "  ").trimmingCharacters(in: .whitespaces)
    }.joined(separator: "\n")
  }

  /// The same for a document.
  var markdown: String {
    let lines = [Self.header, ["---", "---", "--:", "--:", "--:", "--:", "---"]] + map(\.cells)
    return lines.map { "| \($0.joined(separator: " | ")) |" }.joined(separator: "\n")
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
      rate.map { Self.amount($0, unit) } ?? "", limitText, isKept.map { $0 ? "ok" : "over" } ?? "",
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
