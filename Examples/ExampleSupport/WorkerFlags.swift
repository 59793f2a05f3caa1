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
  package func configurations(_ connection: ConnectionFlags) throws -> [WorkerConfiguration] {
    // What the user wrote is checked as it stands, so that an error quotes it.
    try connection.check(try BackendSpecification.list(backend))
    let counted = backend.split(separator: ",").map {
      $0.contains("*") ? "\($0)" : "\($0)*\(workers ?? 2)"
    }
    return try WorkerConfiguration.parsing(
      counted.joined(separator: ","), options: connection.options())
  }
}
