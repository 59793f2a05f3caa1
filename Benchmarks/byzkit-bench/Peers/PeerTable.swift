import Foundation

/// What `Benchmarks/peers/rows.json` says about a row.
struct PeerRow: Decodable {
  let name: String
  let peers: [String]
}

/// Where the peers are: the folder of their scripts, and a Python that has their packages.
struct PeerEnvironment {
  let folder: URL
  let python: String
  let rows: [PeerRow]
  /// Whether EPFL's krum can be imported; its cells stay empty if not.
  let hasKrum: Bool

  /// - Throws: ``BenchmarkError/peer(_:)`` that says how to get what is missing.
  init(folder: String, python: String?) throws {
    self.folder = URL(fileURLWithPath: folder)
    let made = "\(folder)/.venv/bin/python"
    let named = python ?? ProcessInfo.processInfo.environment["BYZKIT_PEERS_PYTHON"]
    self.python = named ?? (FileManager.default.isExecutableFile(atPath: made) ? made : "python3")
    rows = try JSONDecoder().decode(
      [PeerRow].self, from: Data(contentsOf: self.folder.appending(path: "rows.json")))
    hasKrum = try Self.output(of: [self.python, "-c", "import krum"]).status == 0
    let found = try Self.output(of: [self.python, "-c", "import byzpy, byzfl, torch, numpy"])
    guard found.status == 0 else {
      throw BenchmarkError.peer(
        """
        \(self.python) has no byzpy, byzfl, torch and numpy. 'scripts/peers-setup [FOLDER]' makes a Python that has them, by \
        default in \(made); name another with --python or BYZKIT_PEERS_PYTHON.
        """)
    }
  }

  private static func output(of command: [String]) throws -> (status: Int32, text: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = command
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: data, as: UTF8.self))
  }
}
