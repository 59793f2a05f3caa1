import Foundation

/// Another library with one row prepared, in a process of its own, which is called by lines of JSON.
final class Peer {
  /// The library, and the pool it uses.
  let name: String
  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var received = Data()

  /// Starts the server; ``prepare()`` waits until it is ready.
  init(
    _ library: String, pool: String? = nil, row: [String: any Sendable], data: [String],
    environment: PeerEnvironment, name: String? = nil
  ) throws {
    self.name = name ?? [library, pool].compactMap { $0 }.joined(separator: " ")
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [
      environment.python, environment.folder.appending(path: "peer_bench.py").path, "--serve",
    ]
    process.standardInput = input
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    var order: [String: Any] = row
    order["cmd"] = "prepare"
    order["peer"] = library
    order["data"] = data.joined(separator: ":")
    if let pool { order["pool"] = pool }
    // What the library imports and warms up with takes seconds: others do it at the same time.
    try send(order)
  }

  /// Waits until it can be called.
  ///
  /// - Throws: ``BenchmarkError/peer(_:)`` with what it said when it cannot do the row.
  func prepare() throws {
    _ = try line()  // the header
    _ = try reply()
  }

  /// Calls it once on the data of this number; returns the seconds it took by its own clock.
  func run(_ index: Int) throws -> Double {
    try send(["cmd": "go", "input": index])
    guard let milliseconds = try reply()["ms"] as? Double else {
      throw BenchmarkError.peer("\(name): no time")
    }
    return milliseconds / 1e3
  }

  /// Ends the process and its children, and waits for that.
  func stop() {
    try? send(["cmd": "quit"])
    try? input.fileHandleForWriting.close()
    _ = try? output.fileHandleForReading.readToEnd()
    process.waitUntilExit()
  }

  private func send(_ object: [String: Any]) throws {
    var data = try JSONSerialization.data(withJSONObject: object)
    data.append(10)
    try input.fileHandleForWriting.write(contentsOf: data)
  }

  private func reply() throws -> [String: Any] {
    let object = try JSONSerialization.jsonObject(with: line()) as? [String: Any] ?? [:]
    if let error = object["error"] as? String { throw BenchmarkError.peer(error) }
    return object
  }

  private func line() throws -> Data {
    while true {
      if let end = received.firstIndex(of: 10) {
        let line = received[..<end]
        received = Data(received[(end + 1)...])
        return Data(line)
      }
      let more = output.fileHandleForReading.availableData
      guard !more.isEmpty else { throw BenchmarkError.peer("\(name): the process ended") }
      received.append(more)
    }
  }
}

/// The peers of one row, all prepared, on the same files.
struct PeerGroup {
  let peers: [Peer]
  /// Why others cannot do the row.
  let notes: [String: String]

  /// Starts all at once and waits for each.
  init(_ starting: [Peer]) {
    var (peers, notes): ([Peer], [String: String]) = ([], [:])
    for peer in starting {
      do {
        try peer.prepare()
        peers.append(peer)
      } catch {
        notes[peer.name] = "\(error)"
        peer.stop()
      }
    }
    self.peers = peers
    self.notes = notes
  }

  /// Contestants on files `first` and following.
  func contestants(from first: Int) -> [Contestant] {
    peers.map { peer in Contestant(name: peer.name) { try peer.run(first + $0) } }
  }

  func stop() { for peer in peers { peer.stop() } }
}
