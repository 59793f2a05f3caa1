import ByzRuntime
import ByzTCP

/// Reads what launchers say, one after another.
struct LaunchVariables {
  let variables: [String: String]
  let hostName: String

  /// What a launcher says; what it does not say is nil.
  struct Found {
    let source: LaunchEnvironment.Source
    let rank: Int
    var size: Int?
    var localRank: Int?
  }

  /// The first launcher that left a rank.
  func found() throws(RuntimeError) -> Found? {
    if let rank = try number("RANK") {
      return Found(
        source: .torchrun, rank: rank, size: try number("WORLD_SIZE"),
        localRank: try number("LOCAL_RANK"))
    }
    if let rank = try number("OMPI_COMM_WORLD_RANK") {
      return Found(
        source: .mpi, rank: rank, size: try number("OMPI_COMM_WORLD_SIZE"),
        localRank: try number("OMPI_COMM_WORLD_LOCAL_RANK"))
    }
    // srun may speak PMIx too, and says more itself.
    if let rank = try number("SLURM_PROCID") {
      return Found(
        source: .slurm, rank: rank, size: try number("SLURM_NTASKS"),
        localRank: try number("SLURM_LOCALID"))
    }
    if let rank = try number("PMIX_RANK") {
      return Found(source: .mpi, rank: rank, size: try number("BYZKIT_SIZE"), localRank: nil)
    }
    if let (_, rank) = statefulSet, let size = try number("BYZKIT_SIZE") {
      return Found(source: .statefulSet, rank: rank, size: size, localRank: 0)
    }
    return nil
  }

  /// Where process 0 listens.
  func rendezvous(_ found: Found?, size: Int) throws(RuntimeError) -> TCPAddress {
    let port = try number("MASTER_PORT") ?? LaunchEnvironment.defaultPort
    guard let host = try host(found, size: size) else {
      throw RuntimeError(
        .invalidConfiguration,
        "Where process 0 listens is unknown: give host:port, or set MASTER_ADDR and MASTER_PORT.")
    }
    guard (1...65535).contains(port) else {
      throw Self.refusal("MASTER_PORT", "\(port)", "a port from 1 to 65535")
    }
    do throws(RuntimeError) {
      return try TCPAddress(host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)")
    } catch {
      guard let text = text("MASTER_ADDR") else { throw error }
      throw Self.refusal("MASTER_ADDR", text, "a host name or an address")
    }
  }

  private func host(_ found: Found?, size: Int) throws(RuntimeError) -> String? {
    if let host = text("MASTER_ADDR") { return host }
    // Alone, or with all others on this machine.
    if size == 1 { return "127.0.0.1" }
    switch found?.source {
    case .mpi:
      return try number("OMPI_COMM_WORLD_LOCAL_SIZE") == size ? "127.0.0.1" : nil
    case .slurm:
      // A step may have some of the job's nodes only.
      for name in ["SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"] {
        if let list = text(name) { return try Self.firstHost(of: list, in: name) }
      }
      return nil
    case .statefulSet:
      guard let name = statefulSet?.name else { return nil }
      return text("BYZKIT_SERVICE").map { "\(name)-0.\($0)" }
    case .torchrun, .given, nil: return nil
    }
  }

  /// The first host of a list as Slurm writes it: `node[003-007,9],gpu1` begins with `node003`.
  ///
  /// - Throws: `RuntimeError.Code.invalidConfiguration` for brackets that do not match or hold no number.
  static func firstHost(of list: String, in variable: String) throws(RuntimeError) -> String {
    var name = ""
    var rest = list[...]
    while let next = rest.popFirst(), next != "," {
      guard next == "[" else {
        name.append(next)
        continue
      }
      let digits = rest.prefix { ("0"..."9").contains($0) }
      rest = rest.dropFirst(digits.count)
      guard !digits.isEmpty, let end = rest.firstIndex(of: "]"),
        rest[..<end].allSatisfy({ ("0"..."9").contains($0) || $0 == "-" || $0 == "," })
      else { throw refusal(variable, list, "a list such as node[001-004,7],gpu1") }
      name += digits
      rest = rest[rest.index(after: end)...]
    }
    guard !name.isEmpty else {
      throw refusal(variable, list, "a list such as node[001-004,7],gpu1")
    }
    return name
  }

  /// The name of the StatefulSet and the number in it: `web-3`, or `web-3.service.…`.
  private var statefulSet: (name: String, rank: Int)? {
    let pod = hostName.prefix { $0 != "." }
    guard let dash = pod.lastIndex(of: "-"), dash != pod.startIndex else { return nil }
    let digits = pod[pod.index(after: dash)...]
    guard let rank = Self.naturalNumber(digits) else { return nil }
    return (String(pod[..<dash]), rank)
  }

  /// Nil when it is not set, or empty.
  private func text(_ name: String) -> String? {
    guard let text = variables[name], !text.isEmpty else { return nil }
    return text
  }

  private func number(_ name: String) throws(RuntimeError) -> Int? {
    guard let text = text(name) else { return nil }
    guard let number = Self.naturalNumber(text[...]) else {
      throw Self.refusal(name, text, "a number from 0 on")
    }
    return number
  }

  /// Int(_:) alone would take a sign.
  private static func naturalNumber(_ text: Substring) -> Int? {
    guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      return nil
    }
    return Int(text)
  }

  private static func refusal(_ name: String, _ text: String, _ form: String) -> RuntimeError {
    RuntimeError(.invalidConfiguration, "\(name) is \"\(text)\" and must be \(form).")
  }
}

extension LaunchEnvironment {
  /// Whether a variable belongs to a launcher: a child process that inherits it would take itself for the process that started it.
  package static func isLauncherVariable(_ name: String) -> Bool {
    let names = ["RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK"]
    let prefixes = ["OMPI_", "PMIX_", "PMI_", "PRTE_", "SLURM_", "TORCHELASTIC_"]
    return names.contains(name) || prefixes.contains { name.hasPrefix($0) }
  }
}
