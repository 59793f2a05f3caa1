import ByzKit
public import ByzRuntime
import CByzTesting

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a child process of a test does. A test has no `main` of its own to call `runWorkerIfRequested(_:)` in: the test runner's would
/// run all tests once more. This takes its place, in a child that was started for it. It takes the GNU C library.
///
/// ```swift
/// import ByzTesting  // a product of its own, for test targets
///
/// enum CalculatorProcess: TestWorkerProgram {
///   static let registry = Registry(actors: [Calculator.self])
/// }
///
/// @Test func adds() async throws {
///   try await withActorSystem(CalculatorProcess.registry) { system in
///     let calculator = try await system.spawn(
///       Calculator.self, 0, on: ProcessBackend(running: CalculatorProcess.self))
///     #expect(try await calculator.add(1, 2) == 3)
///   }
/// }
/// ```
///
/// The type is found by its name, so it is not private to a file or local to a function.
public protocol TestWorkerProgram {
  /// What the process can make and run.
  static var registry: Registry { get }

  /// The whole life of the process: unless the test says otherwise it is a worker.
  static func run() -> Never
}

extension TestWorkerProgram {
  /// Nothing.
  public static var registry: Registry { Registry() }

  /// Works for the process that started it, until that ends.
  public static func run() -> Never {
    runWorkerIfRequested(registry)
    // Only by hand: whoever starts it by a backend has asked for a worker.
    exit(1)
  }
}

extension ProcessBackend {
  /// Children of a test, which run `program`.
  ///
  /// - Precondition: `program` is neither private nor local.
  public init(running program: any TestWorkerProgram.Type) {
    guard let name = _mangledTypeName(program) else {
      preconditionFailure("\(program) has no name")
    }
    self.init(environment: [programVariable: name])
  }
}

private let programVariable = "BYZKIT_WORKER_PROGRAM"

/// Called by the hook in place of the test runner's main.
@_cdecl("byzkit_test_worker_main")
func runTestWorkerProgram() {
  guard let value = getenv(programVariable),
    let program = _typeByName(String(cString: value)) as? any TestWorkerProgram.Type
  else { fatalError("No program for this worker; a private type cannot be found.") }
  program.run()
}
