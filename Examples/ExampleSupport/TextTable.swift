/// Rows of text under a header, in columns.
package struct TextTable: Sendable {
  private let rows: [[String]]
  private let rightAligned: Set<Int>

  /// A table; every row is as long as the header.
  package init(header: [String], rows: [[String]], rightAligned: Set<Int> = []) {
    self.rows = [header] + rows
    self.rightAligned = rightAligned
  }

  /// The lines, without spaces at their ends.
  package var text: String {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      let cells = row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        if rightAligned.contains(column) { return space + cell }
        return column == row.count - 1 ? cell : cell + space
      }
      return cells.joined(separator: "  ")
    }.joined(separator: "\n")
  }
}
