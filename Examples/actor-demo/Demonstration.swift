import ByzKit
import ByzLaunch

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What an actor can do, shown on one backend.
struct Demonstration {
  let system: ByzActorSystem
  let place: BackendSpecification.Place

  func run(on backend: any WorkerBackend) async throws {
    let calculator = try await system.spawn(Calculator.self, "first", on: backend)
    try say("10 + 20 = \(Int(try await calculator.add(10, 20)))")

    do {
      _ = try await calculator.divide(1, by: 0)
    } catch let error as DivisionByZero {
      try say(
        "\(Int(error.dividend)) / 0 throws \(type(of: error)), and 9 / 2 = "
          + "\(try await calculator.divide(9, by: 2))")
    }

    let other = try await system.spawn(Calculator.self, "second", on: backend)
    let address = try await other.openMailbox()
    try await calculator.write("mail", to: address)
    try say("the second actor reads: \(try await other.read() ?? "nothing")")
    await system.stop(other)

    guard case .process = place else { return await system.stop(calculator) }
    // Only a child process can be killed without taking this one along.
    kill(try await calculator.processIdentifier, SIGKILL)
    do {
      _ = try await calculator.add(1, 1)
      try say("it survived SIGKILL")
    } catch let error as RuntimeError {
      try say("after kill -9 a call throws \(error)")
    }
  }

  private func say(_ text: String) throws { try printOut("\(name) actor: \(text)") }

  private var name: String {
    switch place {
    case .thread: "Thread"
    case .process: "Process"
    case .tcp: "TCP"
    case .ucx: "UCX"
    }
  }
}
