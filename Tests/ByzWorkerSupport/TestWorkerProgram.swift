import ByzRuntime
import ByzWorkerHook

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a child process of a test does. A test file declares its own, not private, since it is found by name.
///
/// ```swift
/// enum Echo: TestWorkerProgram { static func run() -> Never { … } }
/// let link = try await ProcessBackend(running: Echo.self).openLink(named: "echo")
/// ```
public protocol TestWorkerProgram {
  /// The whole life of the process.
  static func run() -> Never
}

extension ProcessBackend {
  /// Children that run a program of a test.
  package init(running program: any TestWorkerProgram.Type) {
    guard let name = _mangledTypeName(program) else {
      preconditionFailure("\(program) has no name")
    }
    self.init(environment: [programVariable: name])
  }
}

private let programVariable = "BYZKIT_WORKER_PROGRAM"

/// Called by the hook in place of the test runner's main.
@_cdecl("byzkit_test_worker_main")
public func runTestWorkerProgram() {
  guard let value = getenv(programVariable),
    let program = _typeByName(String(cString: value)) as? any TestWorkerProgram.Type
  else { fatalError("No program for this worker; a private type cannot be found.") }
  program.run()
}
