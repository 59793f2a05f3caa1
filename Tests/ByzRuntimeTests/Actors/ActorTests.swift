import ByzRuntime
import ByzTensor
import Distributed
import Foundation
import Testing

/// Every backend that runs here, under one name each.
private let backends: [any WorkerBackend] = [.thread, MemoryBackend(registry: testRegistry)]

@Suite("Actors", .timeLimit(.minutes(3)))
struct ActorTests {
  private func withCalculator<R>(
    on backend: any WorkerBackend, _ body: (Calculator, ByzActorSystem) async throws -> R
  ) async throws -> R {
    try await withActorSystem(testRegistry) { system in
      try await body(try await spawn(on: backend, system), system)
    }
  }

  private func spawn(
    on backend: any WorkerBackend, _ system: ByzActorSystem, named name: String = "calc"
  ) async throws -> Calculator {
    func open(_ backend: some WorkerBackend) async throws -> Calculator {
      try await system.spawn(Calculator.self, name, on: backend)
    }
    return try await open(backend)
  }

  @Test("answers the same on every backend", arguments: backends.indices)
  func answers(_ index: Int) async throws {
    try await withCalculator(on: backends[index]) { (calculator, _) async throws -> Void in
      #expect(try await calculator.add(10, 20) == 30)
      #expect(try await calculator.title == "calc")
      try await calculator.nothing()
      #expect(try await calculator.echo("text") == "text")
      #expect(try await calculator.echo(-7) == -7)
      #expect(try await calculator.negated([1, -2, 3]) == [-1, 2, -3])
    }
  }

  @Test("of a generic type it answers as any other", arguments: backends.indices)
  func generics(_ index: Int) async throws {
    func check(on backend: some WorkerBackend) async throws {
      try await withActorSystem(testRegistry) { (system) async throws -> Void in
        let number = try await system.spawn(Box<Int>.self, 3, on: backend)
        #expect(try await number.content() == 3)
        #expect(try await number.exchange(5) == 3)
        #expect(try await number.content() == 5)
        let texts = try await system.spawn(Box<[String]>.self, ["one"], on: backend)
        #expect(try await texts.exchange([]) == ["one"])
        // Swift's runtime does not call generic methods of generic actors as it should.
        if backend is ThreadBackend {
          #expect(try await texts.paired(with: 1.5) == "[] and 1.5")
        } else {
          let error = await #expect(throws: RuntimeError.self) {
            try await texts.paired(with: 1.5)
          }
          #expect(error?.code == .unknownTarget)
        }
      }
    }
    try await check(on: backends[index])
  }

  #if os(Linux)
    @Test("its thread is kept on the processor that is asked for, where there is one")
    func pinned() async throws {
      try await withActorSystem(testRegistry) { (system) async throws -> Void in
        let kept = try await system.spawn(Calculator.self, "kept", on: .thread(processors: [0]))
        #expect(try await kept.isOnFirstProcessor())
        let free = try await system.spawn(Calculator.self, "free", on: .thread)
        // On a machine with one processor both are kept.
        if ProcessInfo.processInfo.activeProcessorCount > 1 {
          #expect(try await !free.isOnFirstProcessor())
        }
        let error = await #expect(throws: RuntimeError.self) {
          try await system.spawn(Calculator.self, "lost", on: .thread(processors: [99_999]))
        }
        #expect(error?.code == .workerStartFailed)
      }
    }
  #endif

  @Test("a backend that makes workers only makes no actor")
  func workersOnly() async throws {
    try await withActorSystem(testRegistry) { (system) async throws -> Void in
      let error = await #expect(throws: RuntimeError.self) {
        try await system.spawn(Calculator.self, "calc", on: MortalBackend(subtasksPerLife: 1))
      }
      #expect(error?.code == .invalidConfiguration)
    }
  }

  @Test("a registered error arrives as itself and the actor goes on", arguments: backends.indices)
  func errors(_ index: Int) async throws {
    try await withCalculator(on: backends[index]) { (calculator, _) async throws -> Void in
      await #expect(throws: TooLarge(limit: 100)) { try await calculator.checked(100) }
      #expect(try await calculator.checked(3) == 3)
    }
  }

  @Test("an error that is not registered arrives with its type's name and description")
  func describedErrors() async throws {
    try await withCalculator(on: MemoryBackend(registry: testRegistry)) {
      (calculator, _) async throws -> Void in
      let error = await #expect(throws: RemoteError.self) { try await calculator.fail() }
      #expect(error?.typeName == "ByzRuntimeTests.Unregistered")
      #expect(error?.description.contains("of the other process") == true)
      #expect(try await calculator.add(1, 1) == 2)
    }
  }

  @Test("an initializer that throws is an error of spawn", arguments: backends.indices)
  func initializers(_ index: Int) async throws {
    try await withActorSystem(testRegistry) { (system) async throws -> Void in
      await #expect(throws: TooLarge(limit: 0)) {
        _ = try await spawn(on: backends[index], system, named: "")
      }
    }
  }

  @Test("calls to one actor run one at a time", arguments: backends.indices)
  func serialised(_ index: Int) async throws {
    try await withCalculator(on: backends[index]) { (calculator, _) async throws -> Void in
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for _ in 0..<100 { group.addTask { try await calculator.exclusive() } }
        for try await wasAlone in group { #expect(wasAlone) }
      }
      let counts = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<100 { group.addTask { try await calculator.count() } }
        return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
      }
      #expect(counts == Set(1...100))
    }
  }

  @Test("cancelling the caller cancels the method", arguments: backends.indices)
  func cancellation(_ index: Int) async throws {
    try await withCalculator(on: backends[index]) { (calculator, _) async throws -> Void in
      let call = Task { try await calculator.waitForCancellation() }
      call.cancel()
      await #expect(throws: CancellationError.self) { try await call.value }
      #expect(try await calculator.add(1, 2) == 3)
    }
  }

  @Test("a deadline ends a call that takes longer", arguments: backends.indices)
  func deadlines(_ index: Int) async throws {
    try await withCalculator(on: backends[index]) { (calculator, _) async throws -> Void in
      let error = await #expect(throws: RuntimeError.self) {
        try await withDeadline(.milliseconds(50)) { try await calculator.waitForCancellation() }
      }
      #expect(error?.code == .deadlineExceeded)
      let sum = try await withDeadline(.seconds(60)) { try await calculator.add(1, 2) }
      #expect(sum == 3)
    }
  }

  @Test("a deadline may be as far away as one likes", arguments: backends.indices)
  func farDeadlines(_ index: Int) async throws {
    try await withCalculator(on: backends[index]) { (calculator, _) async throws -> Void in
      let sum = try await withDeadline(.seconds(Int64.max)) { try await calculator.add(1, 2) }
      #expect(sum == 3)
    }
  }

  @Test("a lost process turns pending calls into workerLost, and later ones")
  func loss() async throws {
    let backend = MemoryBackend(registry: testRegistry)
    try await withCalculator(on: backend) { (calculator, _) async throws -> Void in
      let pending = Task { try await calculator.waitForCancellation() }
      #expect(try await calculator.add(1, 2) == 3)
      backend.breakLinks()
      let first = await #expect(throws: RuntimeError.self) { try await pending.value }
      #expect(first?.code == .workerLost)
      let second = await #expect(throws: RuntimeError.self) { try await calculator.add(1, 2) }
      #expect(second?.code == .workerLost)
    }
  }

  @Test("an actor can be handed a reference to another, and call it")
  func references() async throws {
    try await withActorSystem(testRegistry) { (system) async throws -> Void in
      let remote = try await spawn(on: MemoryBackend(registry: testRegistry), system)
      let local = try await spawn(on: .thread, system, named: "local")
      let other = try await spawn(on: .thread, system, named: "other")
      // Both calls come over one connection, and name whom they are for.
      #expect(try await remote.ask(local) == "local")
      #expect(try await remote.ask(other) == "other")
      #expect(try await local.ask(remote) == "calc")
    }
  }

  @Test(
    "an actor can call its client's at once, whenever the task that serves the connection runs next"
  )
  func earlyReferences() async throws {
    let hold = Signal()
    var backend = MemoryBackend(registry: testRegistry)
    (backend.thread, backend.hold) = (ThreadExecutor(name: "held-up"), hold)
    try await withActorSystem(testRegistry) { (system) async throws -> Void in
      // Before the system ends, which waits for the other side.
      defer { hold.send() }
      let remote = try await spawn(on: backend, system)
      let local = try await spawn(on: .thread, system, named: "local")
      #expect(try await remote.ask(local) == "local")
    }
    await backend.thread.stop()
  }

  @Test("an actor of one worker is told how to reach one of another: by mail, not by calls")
  func betweenWorkers() async throws {
    try await withActorSystem(testRegistry) { (system) async throws -> Void in
      let one = try await spawn(on: MemoryBackend(registry: testRegistry), system)
      let other = try await spawn(on: MemoryBackend(registry: testRegistry), system)
      let error = await #expect(throws: RuntimeError.self) { try await one.ask(other) }
      #expect(error?.code == .unknownTarget && error?.message.contains("send mail") == true)
      // The client has spawned both, and may call both.
      let local = try await spawn(on: .thread, system)
      #expect(try await local.ask(other) == "calc")
    }
  }

  @Test(
    "a process that calls itself by the number of another one is refused, also when that one is gone"
  )
  func impostors() async throws {
    try await withActorSystem(testRegistry) { (system) async throws -> Void in
      let honest = try await spawn(on: MemoryBackend(registry: testRegistry), system)
      for isGone in [false, true] {
        if isGone { await system.stop(honest) }
        let error = await #expect(throws: RuntimeError.self) {
          try await spawn(on: ImpostorBackend(host: honest.id.host), system)
        }
        #expect(error?.code == .incompatiblePeer)
        if !isGone { #expect(try await honest.add(1, 2) == 3) }
      }
    }
  }

  @Test("a type that the other side does not list cannot be spawned")
  func unknownTypes() async throws {
    let backend = MemoryBackend(registry: Registry(actors: [Ledger.self]))
    try await withActorSystem(testRegistry) { (system) async throws -> Void in
      let error = await #expect(throws: RuntimeError.self) {
        _ = try await system.spawn(Calculator.self, "calc", on: backend)
      }
      #expect(error?.code == .unknownTarget)
      #expect(error?.message.contains("ByzRuntimeTests.Calculator") == true)
    }
  }

  @Test("generic arguments of a type that is not registered are refused")
  func unknownSubstitutions() async throws {
    try await withCalculator(on: MemoryBackend(registry: testRegistry)) {
      (calculator, _) async throws -> Void in
      let error = await #expect(throws: RuntimeError.self) {
        _ = try await calculator.echo(TooLarge(limit: 1))
      }
      #expect(error?.code == .unknownTarget)
      #expect(try await calculator.add(1, 2) == 3)
    }
  }
}

/// Processes that say they have a number of the test's choice.
private struct ImpostorBackend: LinkBackend {
  let name = "impostor"
  let capabilities: Set<Capability> = [.cpu]
  let isSameProgram = true
  let host: UInt64

  func openLink(named name: String) async throws -> any Link {
    let (here, there) = MemoryLink.pair()
    let peer = Peer(
      link: there,
      hello: Hello(
        host: host, name: "impostor", types: [:], kernels: "", blas: "", requiresSameBits: false))
    Task {
      _ = try? await peer.open()
      _ = await peer.waitUntilEnded()
    }
    return here
  }
}
