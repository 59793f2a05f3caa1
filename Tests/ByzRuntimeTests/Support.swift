import ByzRuntime
import Dispatch

/// A subtask that runs a closure of the test. Real subtasks are data; a test wants to look inside.
struct Probe: Subtask {
  private let body: Int
  private let argument: Int

  private static let bodies = Monitor<[@Sendable (Int) throws -> Int]>([])

  func run(_ operands: Operands) throws -> Int {
    try Self.bodies.withLock { $0[body] }(argument)
  }

  /// `count` subtasks that call `body` with 0, 1, … and return what it returns.
  static func make(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Int) -> [Probe] {
    let index = bodies.withLock { bodies in
      bodies.append(body)
      return bodies.count - 1
    }
    return (0..<count).map { Probe(body: index, argument: $0) }
  }

  private init(body: Int, argument: Int) {
    self.body = body
    self.argument = argument
  }
}

/// A point that blocks threads until `parties` of them have come.
final class Barrier: Sendable {
  private let parties: Int
  private let arrived = Monitor(0)
  private let open = DispatchSemaphore(value: 0)

  init(parties: Int) { self.parties = parties }

  func wait() {
    let isLast = arrived.withLock { count in
      count += 1
      return count == parties
    }
    if isLast {
      for _ in 1..<parties { open.signal() }
    } else {
      open.wait()
    }
  }
}

/// Something that happens once, and that tasks and threads can wait for.
final class Signal: Sendable {
  private let stream = AsyncStream<Void>.makeStream()
  private let semaphore = DispatchSemaphore(value: 0)

  func send() {
    stream.continuation.finish()
    semaphore.signal()
  }

  func wait() async { for await _ in stream.stream {} }

  func block() {
    semaphore.wait()
    semaphore.signal()
  }
}

/// A list that several threads append to.
final class Log<Entry: Sendable>: Sendable {
  private let list = Monitor<[Entry]>([])

  var entries: [Entry] { list.withLock { $0 } }

  func append(_ entry: Entry) { list.withLock { $0.append(entry) } }
}

/// How many are inside at the same time, and the most there ever were.
final class Occupancy: Sendable {
  private let counts = Monitor((now: 0, most: 0))

  var most: Int { counts.withLock { $0.most } }

  func inside<R>(_ body: () throws -> R) rethrows -> R {
    counts.withLock { counts in
      counts.now += 1
      counts.most = max(counts.most, counts.now)
    }
    defer { counts.withLock { $0.now -= 1 } }
    return try body()
  }
}

/// An operator that runs a closure of the test.
struct Step: Operator {
  let name: String
  let inputNames: [String]
  private let body: @Sendable (OperatorInputs, OperatorContext) async throws -> any Sendable

  init(
    _ name: String = "step", _ inputNames: [String] = [],
    _ body: @escaping @Sendable (OperatorInputs, OperatorContext) async throws -> any Sendable
  ) {
    self.name = name
    self.inputNames = inputNames
    self.body = body
  }

  func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws -> any Sendable {
    try await body(inputs, context)
  }

  /// The sum of its integer inputs.
  static func sum(_ inputNames: [String]) -> Step {
    Step("sum", inputNames) { inputs, _ in
      try inputNames.reduce(0) { try $0 + inputs.value($1, as: Int.self) }
    }
  }
}

struct Failure: Error, Equatable {
  var number = 0
}

/// The error that `body` throws, as a ``RuntimeError``.
func runtimeError(
  isolation: isolated (any Actor)? = #isolation, of body: () async throws -> some Any
) async -> RuntimeError.Code? {
  do {
    _ = try await body()
    return nil
  } catch {
    return (error as? RuntimeError)?.code
  }
}
