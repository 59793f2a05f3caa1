import Foundation

/// Everything one run found, as written by `--json`.
struct Report: Codable {
  let machine: Machine
  var timings: [Timing]
}

extension [Timing] {
  /// One aligned table.
  var table: String {
    let header = [
      "row", "data", "way", "median ms", "min ms", "yardstick", "ms", "ratio", "limit", "",
    ]
    let lines = [header] + map(\.cells)
    let widths = header.indices.map { column in lines.map { $0[column].count }.max() ?? 0 }
    return lines.map { cells in
      let padded = cells.indices.map { column in
        let space = String(repeating: " ", count: widths[column] - cells[column].count)
        // Words to the left, numbers to the right.
        return [0, 1, 2, 5, 9].contains(column) ? cells[column] + space : space + cells[column]
      }
      return padded.joined(separator: "  ").trimmingCharacters(in: .whitespaces)
    }.joined(separator: "\n")
  }
}

extension Timing {
  fileprivate var cells: [String] {
    let limit =
      switch limit {
      case .ratio(let most): "\(most)x"
      case .milliseconds(let most): "\(most) ms"
      case nil: ""
      }
    return [
      row, data.rawValue, way.rawValue, digits(medianMilliseconds), digits(minimumMilliseconds),
      yardstick?.rawValue ?? "", yardstickMilliseconds.map(digits) ?? "",
      ratio.map { String(format: "%.2f", $0) } ?? "", limit,
      use.map { $0 <= 1 ? "ok" : "over" } ?? "",
    ]
  }

  private func digits(_ value: Double) -> String {
    String(format: value < 10 ? "%.3f" : "%.2f", value)
  }
}
