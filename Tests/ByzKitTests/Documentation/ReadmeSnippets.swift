import ByzKit
import ByzTCP
import ByzTesting
import Distributed
import Testing

// What stands between a line "// snippet: NAME" and a line "// end" is in README.md too, word for
// word: scripts/update-readme copies it there, and --check compares.

// snippet: Calculator
distributed actor Calculator: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private let name: String

  init(_ name: String, actorSystem: ByzActorSystem) {
    self.name = name
    self.actorSystem = actorSystem
  }

  distributed func add(_ a: Double, _ b: Double) -> Double { a + b }
  distributed func title() -> String { name }

  distributed func count(to last: Int, at address: MailboxAddress) async throws {
    for number in stride(from: 1, through: last, by: 1) {
      try await actorSystem.send(number, to: address)
    }
  }
}

let registry = Registry(actors: [Calculator.self])
// end

/// What child processes of these tests run; a program calls `runWorkerIfRequested(registry)` first in
/// its `main`.
enum SnippetWorker: TestWorkerProgram {
  static let registry = ByzKitTests.registry
}

// Here the children run the tests' program, so these stand in front of the library's.

extension WorkerBackend where Self == ProcessBackend {
  fileprivate static var process: ProcessBackend { ProcessBackend(running: SnippetWorker.self) }
}

extension WorkerConfiguration {
  fileprivate static func processes(_ count: Int) -> WorkerConfiguration {
    WorkerConfiguration(backend: ProcessBackend(running: SnippetWorker.self), count: count)
  }
}

@Suite("The snippets of the README", .timeLimit(.minutes(3)))
struct ReadmeSnippets {
  private let gradients: [Tensor<Float>] = (0..<9).map { node in
    Tensor<Float>((0..<5000).map { Float(($0 * 7 + node * 13) % 101) / 101 })
  }

  @Test("a pool gives the bits of the direct call")
  func pool() async throws {
    // snippet: Pool
    let rule = NearestNeighborMixing(f: 2).then(TrimmedMean(f: 2))
    let direct = try rule.aggregate(gradients)
    let pooled = try await withActorPool(.threads(4)) { pool in
      try await rule.aggregate(gradients, on: pool, chunkSize: 1000)
    }
    print(pooled.hasSameBits(as: direct))  // true, whatever the pool
    // end
    #expect(pooled.hasSameBits(as: direct))
  }

  @Test("workers on another machine are asked for with a token and certificates")
  func workersElsewhere() async throws {
    // Nobody has made the files here: it is compiled, and runs to where it reads the first.
    let error = await #expect(throws: RuntimeError.self) {
      // snippet: WorkersElsewhere
      let options = TCPOptions(
        tls: TLSOptions(trustRootsFile: "ca.pem"), token: try Token(contentsOfFile: "token"))
      let worker = WorkerConfiguration(backend: .tcp("worker-3:29000", options), count: 2)
      try await withActorPool(.threads(4), worker) { pool in
        print(try await Krum(f: 2).aggregate(gradients, on: pool))
      }
      // end
    }
    #expect(error?.message.contains("token") == true)
  }

  @Test("a pool of threads and processes gives the bits of the direct call")
  func heterogeneousPool() async throws {
    // snippet: HeterogeneousPool
    let rule = MultiKrum(f: 2, q: 4)
    let (aggregate, workers) = try await withActorPool(.threads(2), .processes(2)) { pool in
      let aggregate = try await rule.aggregate(gradients, on: pool, chunkSize: 1000)
      return (aggregate, pool.statistics)
    }
    for worker in workers { print(worker.name, worker.completed) }  // thread-0 …, process-0 …
    // end
    #expect(try aggregate == rule.aggregate(gradients))
    #expect(workers.map(\.name) == ["thread-0", "thread-1", "process-0", "process-1"])
    #expect(workers.allSatisfy { $0.failed == 0 && !$0.isLost })
    #expect(workers.reduce(0) { $0 + $1.completed } >= 5)
  }

  @Test("an actor answers alike on a thread and in a process")
  func actors() async throws {
    // snippet: Actors
    let sums = try await withActorSystem(registry) { system in
      let here = try await system.spawn(Calculator.self, "here", on: .thread)
      let beside = try await system.spawn(Calculator.self, "beside", on: .process)
      return [try await here.add(10, 20), try await beside.add(10, 20)]
    }
    print(sums)  // [30.0, 30.0]
    // end
    #expect(sums == [30, 30])
  }

  @Test("the same code runs on whatever backend it is given")
  func switchingBackends() async throws {
    // snippet: SwitchingBackends
    func greet(on backend: some WorkerBackend) async throws -> String {
      try await withActorSystem(registry) { system in
        let calculator = try await system.spawn(Calculator.self, backend.name, on: backend)
        return "\(try await calculator.title()): \(try await calculator.add(10, 20))"
      }
    }
    let backends: [any WorkerBackend] = [.thread, .process]
    for backend in backends { print(try await greet(on: backend)) }
    // end
    var greetings: [String] = []
    for backend in backends { greetings.append(try await greet(on: backend)) }
    #expect(greetings == ["thread: 30.0", "process: 30.0"])
  }

  @Test("mail from an actor in a process arrives in order, and no more than fits waits")
  func mail() async throws {
    // snippet: Mail
    let numbers = try await withActorSystem(registry) { system in
      let inbox = try system.mailbox(named: "numbers", of: Int.self, capacity: 8)
      let counter = try await system.spawn(Calculator.self, "counter", on: .process)
      async let counting: Void = counter.count(to: 20, at: inbox.address)
      var numbers: [Int] = []
      for await letter in inbox {
        numbers.append(letter.value)
        if numbers.count == 20 { inbox.close() }
      }
      try await counting
      return numbers
    }
    print(numbers.reduce(0, +))  // 210
    // end
    #expect(numbers == Array(1...20))
  }
}
