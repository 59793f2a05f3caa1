import Glibc

/// What a process that forgets to clean up has more and more of.
struct Leftovers: Hashable, CustomStringConvertible {
  var processes: Int
  var descriptors: Int
  var sharedMappings: Int
  var sharedMemoryFiles: Int
  /// Those with a name of their own: Swift's threads have the program's or a queue's, and come as they are needed.
  var threads: Int
  /// What a task that waits for ever would keep.
  var witnesses: Int

  static func now(_ witnesses: Witnesses) -> Leftovers {
    Leftovers(
      processes: children().count, descriptors: entries("/proc/self/fd").count,
      sharedMappings: text("/proc/self/maps").split(separator: "\n").count {
        $0.contains("byzkit") && $0.contains("memfd") || $0.contains("/dev/shm/byzkit")
      },
      sharedMemoryFiles: entries("/dev/shm").count { $0.contains("byzkit") },
      threads: threadNames().count {
        !$0.hasPrefix("byzkit-faults") && !$0.contains("-qos")
      },
      witnesses: witnesses.living)
  }

  /// Waits until no more is there than before; what ends may take a moment.
  static func settle(
    to before: Leftovers, _ witnesses: Witnesses, within limit: Int = 3000
  ) async -> Leftovers {
    var after = now(witnesses)
    for _ in 0..<limit where !after.isWithin(before) {
      // What is waited for is the system, which tells nobody.
      try? await Task.sleep(for: .milliseconds(10))
      after = now(witnesses)
    }
    return after
  }

  func isWithin(_ before: Leftovers) -> Bool {
    processes <= before.processes && descriptors <= before.descriptors
      && sharedMappings <= before.sharedMappings && sharedMemoryFiles <= before.sharedMemoryFiles
      && threads <= before.threads && witnesses <= before.witnesses
  }

  /// The processes that this one has started, dead ones too until they are buried.
  static func children() -> [pid_t] {
    entries("/proc/self/task").flatMap { task in
      text("/proc/self/task/\(task)/children").split(separator: " ").compactMap { pid_t($0) }
    }
  }

  /// For a finding: number, program and state of each child.
  static func childStates() -> [String] {
    children().map {
      text("/proc/\($0)/stat").split(separator: " ").prefix(3).joined(separator: " ")
    }
  }

  static func threadNames() -> [String] {
    entries("/proc/self/task").map { text("/proc/self/task/\($0)/comm") }
  }

  private static func entries(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names
  }

  private static func text(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 {
      bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  var description: String {
    """
    \(processes) processes, \(descriptors) descriptors, \(sharedMappings) shared mappings, \
    \(sharedMemoryFiles) shared files, \(threads) threads, \(witnesses) systems, pools, clusters and runs
    """
  }
}
