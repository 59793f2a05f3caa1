import Foundation

/// Other libraries' actors, timed by scripts in their own language.
enum RuntimePeers {
  /// What a script prints, a JSON array: how often it measured and the times in microseconds of each row.
  private struct Row: Decodable {
    let row: String
    let backend: String
    let times: [Double]
  }

  struct Missing: Error, CustomStringConvertible {
    let description: String
  }

  /// - Throws: ``Missing`` with what to install.
  static func figures(of script: String, python: String) throws -> [RuntimeFigure] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [python, script]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      let text = String(decoding: bytes, as: UTF8.self)
      throw Missing(
        description: "\(script): " + (text.isEmpty ? "\(python) could not run it" : text))
    }
    return try JSONDecoder().decode([Row].self, from: bytes).map { row in
      RuntimeFigure(
        RuntimeContestant(row: row.row, backend: row.backend, call: {}), times: row.times)
    }
  }
}
