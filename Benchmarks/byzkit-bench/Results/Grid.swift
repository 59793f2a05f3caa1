/// A table of words and numbers, as text or for a document.
package struct Grid: Sendable {
  package var header: [String]
  package var lines: [[String]] = []
  /// The columns of words; all others are numbers, which stand to the right.
  package var words: Set<Int>

  package init(_ header: [String], words: Set<Int> = [0], lines: [[String]] = []) {
    self.header = header
    self.words = words
    self.lines = lines
  }

  package var text: String {
    let all = [header] + lines
    let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { cells in
      let padded = cells.indices.map { column in
        let space = String(repeating: " ", count: widths[column] - cells[column].count)
        return words.contains(column) ? cells[column] + space : space + cells[column]
      }
      var line = padded.joined(separator: "  ")
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }

  package var markdown: String {
    let rule = header.indices.map { words.contains($0) ? "---" : "--:" }
    return ([header, rule] + lines).map { "| " + $0.joined(separator: " | ") + " |" }
      .joined(separator: "\n")
  }
}
