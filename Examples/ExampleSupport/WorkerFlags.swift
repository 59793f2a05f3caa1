package import ArgumentParser
internal import ByzLaunch
package import ByzRuntime

/// Which workers run subtasks.
package struct WorkerFlags: ParsableArguments {
  @Option(help: "Where subtasks run: thread, process, tcp://host:port, ucx://host:port, or a list.")
  package var backend = "thread"
  @Option(help: "Workers of each part of --backend without a *count. (default: 2)")
  package var workers: Int?

  package init() {}

  package func validate() throws {
    guard let workers else { return }
    guard 1...1024 ~= workers else {
      throw ValidationError("--workers is \(workers), but must be in 1...1024.")
    }
  }

  /// The workers of a pool.
  ///
  /// - Throws: `UsageError` for a number of workers that no part of the list asks for.
  package func configurations(_ connection: ConnectionFlags) throws -> [WorkerConfiguration] {
    // What the user wrote is checked as it stands, so that an error quotes it.
    try connection.check(try BackendSpecification.list(backend))
    let parts = backend.split(separator: ",")
    guard workers == nil || parts.contains(where: { !$0.contains("*") }) else {
      throw UsageError(
        "--workers would be ignored: all parts of --backend \(backend) have a count of their own. "
          + "Leave --workers out, or a count.")
    }
    let counted = parts.map {
      $0.contains("*") ? "\($0)" : "\($0)*\(workers ?? 2)"
    }
    return try WorkerConfiguration.parsing(
      counted.joined(separator: ","), options: connection.options())
  }
}
