import ByzKit
import ByzRuntime
import ByzTCP
import ByzTesting
import Distributed
import Foundation
import Testing

@Suite("A worker that is stopped, replaced and continued", .timeLimit(.minutes(3)))
struct StoppedWorkerTests {
  private static let registry = Registry(actors: [Host.self], subtasks: [Which.self])
  private static let liveness = Liveness(interval: .milliseconds(100), timeout: .seconds(4))
  private static let patient = Liveness(interval: .seconds(1), timeout: .seconds(60))

  @Test("over TCP, its late answer does not count for who came after")
  func overTCP() async throws {
    let gate = try Gateway()
    defer { gate.remove() }
    try await withActorSystem(Self.registry, liveness: Self.patient) { system in
      let processes = ProcessBackend(running: StoppableWorker.self)
      let first = try await system.spawn(Host.self, "first", on: processes)
      let second = try await system.spawn(Host.self, "second", on: processes)
      let stopped = try await first.identifier()
      let network = LateNetwork()
      let backend = LateBackend(
        network: network,
        hosts: [.tcp(try await first.listen()), .tcp(try await second.listen())])
      let workers = WorkerConfiguration(backend: backend, count: 1)
      try await withActorPool(workers, registry: Self.registry, liveness: Self.liveness) { pool in
        async let results = pool.run([Which(stopping: stopped, gate: gate.path)])
        var events = network.events.makeAsyncIterator()
        // The heartbeat gives the first up; the second has the same call, under the same number.
        while let event = await events.next(), event != .called(life: 1) {}
        try Task.checkCancellation()
        #expect(kill(stopped, SIGCONT) == 0)
        while let event = await events.next(), event != .answeredLate {}
        try Task.checkCancellation()
        gate.open()
        let (answer, expected) = (try await results, try await second.identifier())
        #expect(answer == [expected])
        #expect(pool.statistics.reduce(0) { $0 + $1.losses } >= 1)
      }
      await network.close()
    }
  }

  @Test("in a child process, it is gone before another is started: nothing is left to answer late")
  func inChild() async throws {
    let gate = try Gateway()
    defer { gate.remove() }
    let workers = WorkerConfiguration(
      backend: ProcessBackend(running: StoppableWorker.self), count: 1)
    try await withActorPool(workers, registry: Self.registry, liveness: Self.liveness) { pool in
      gate.open()
      let first = try await pool.run([Which(stopping: 0, gate: gate.path)])[0]
      gate.open()
      let second = try await pool.run([Which(stopping: first, gate: gate.path)])[0]
      #expect(second != first)
      #expect(kill(first, SIGCONT) == -1 && errno == ESRCH)
    }
  }
}

/// Says which process ran it.
struct Which: Subtask {
  /// A process that stops itself with the subtask in hand; all others wait for the gate.
  var stopping: Int32
  var gate: String

  func run(_ operands: Operands) throws -> Int32 {
    if getpid() == stopping {
      raise(SIGSTOP)
    } else {
      let pipe = open(gate, O_RDONLY)
      var byte: UInt8 = 0
      _ = read(pipe, &byte, 1)
      close(pipe)
    }
    return getpid()
  }
}

/// A process that serves workers over TCP.
distributed actor Host: RemoteActor {
  typealias ActorSystem = ByzActorSystem

  init(_ name: String, actorSystem: ByzActorSystem) { self.actorSystem = actorSystem }

  distributed func identifier() -> Int32 { getpid() }

  /// Serves for as long as the process lives.
  distributed func listen() async throws -> String {
    var options = WorkerServerOptions()
    options.liveness = Liveness(interval: .seconds(1), timeout: .seconds(60))
    return try await withCheckedThrowingContinuation { [options] continuation in
      Task {
        do {
          try await withWorkerServer(registry: Registry(subtasks: [Which.self]), options: options) {
            continuation.resume(returning: $0.address)
            await $0.waitUntilDraining()
          }
        } catch {
          continuation.resume(throwing: error)
        }
      }
    }
  }
}

/// The child processes of these tests.
enum StoppableWorker: TestWorkerProgram {
  static func run() -> Never {
    runWorkerIfRequested(Registry(actors: [Host.self], subtasks: [Which.self]))
    preconditionFailure("This process was not started as a worker.")
  }
}

/// A pipe with a name: whoever reads a byte of it waits until the test has opened it.
private final class Gateway: Sendable {
  let path = FileManager.default.temporaryDirectory.appending(path: "byzkit-\(UUID())").path
  private let descriptor: Int32

  init() throws {
    mkfifo(path, 0o600)
    // For both, so that it need not wait for a reader.
    descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC)
    try #require(descriptor >= 0)
  }

  /// For whoever comes: a busy machine may have lost, and replaced, more workers than the test has in mind.
  func open() { _ = write(descriptor, String(repeating: "x", count: 64), 64) }

  func remove() {
    close(descriptor)
    unlink(path)
  }
}

/// A network on which nothing is ever lost: what comes on a connection that was given up goes to the one that took its place.
private final class LateNetwork: Sendable {
  enum Event: Hashable, Sendable {
    case called(life: Int)
    case answeredLate
  }

  let events: AsyncStream<Event>
  private let happened: AsyncStream<Event>.Continuation
  private let state = Monitor(State())

  private struct State: Sendable {
    var links: [any Link] = []
    var receiver: (any LinkReceiver)?
  }

  init() { (events, happened) = AsyncStream.makeStream() }

  var count: Int { state.withLock { $0.links.count } }

  func add(_ link: any Link) -> Int {
    state.withLock { state in
      state.links.append(link)
      return state.links.count - 1
    }
  }

  func listen(_ receiver: any LinkReceiver) { state.withLock { $0.receiver = receiver } }

  func sent(_ message: Message, life: Int) {
    if message.kind == .call { happened.yield(.called(life: life)) }
  }

  func deliver(_ message: Message, life: Int) {
    let (receiver, isLate) = state.withLock { ($0.receiver, life < $0.links.count - 1) }
    receiver?.receive(message)
    if isLate, message.kind == .reply { happened.yield(.answeredLate) }
  }

  /// Ends the connections for good.
  func close() async {
    for link in state.withLock({ $0.links }) {
      link.close(RuntimeError(.stopped, "The test is over."))
    }
  }
}

private struct LateBackend: LinkBackend {
  let network: LateNetwork
  /// For each life of the worker; the last for all that follow.
  let hosts: [TCPBackend]

  var name: String { "late" }
  var capabilities: Set<Capability> { [.cpu] }

  func openLink(named name: String) async throws -> any Link {
    let life = network.count
    let link = try await hosts[min(life, hosts.count - 1)].openLink(named: name)
    return LateLink(link, life: network.add(link), network: network)
  }
}

/// A link that is closed on this side only.
private final class LateLink: Link {
  private let link: any Link
  private let life: Int
  private let network: LateNetwork
  private let receiver = Monitor<(any LinkReceiver)?>(nil)

  init(_ link: any Link, life: Int, network: LateNetwork) {
    (self.link, self.life, self.network) = (link, life, network)
  }

  var peerName: String { link.peerName }

  func start(_ receiver: any LinkReceiver) {
    self.receiver.withLock { $0 = receiver }
    network.listen(receiver)
    link.start(Forwarder(life: life, network: network))
  }

  func send(_ message: Message) {
    network.sent(message, life: life)
    link.send(message)
  }

  func waitUntilWritable() async throws { try await link.waitUntilWritable() }

  func close(_ reason: RuntimeError) {
    let receiver = receiver.withLock { receiver in
      defer { receiver = nil }
      return receiver
    }
    receiver?.linkClosed(reason)
  }

  private final class Forwarder: LinkReceiver {
    let life: Int
    let network: LateNetwork

    init(life: Int, network: LateNetwork) { (self.life, self.network) = (life, network) }

    func receive(_ message: Message) { network.deliver(message, life: life) }
    func linkClosed(_ reason: RuntimeError) {}
  }
}
