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
      #expect(try await remote.ask(local) == "local")
      #expect(try await local.ask(remote) == "calc")
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

@Suite("Registered targets", .timeLimit(.minutes(3)))
struct TargetTests {
  /// The names that calls of every method of these tests' actors, and of the library's, travel under.
  private static let targets: [String: [String]] = [
    "ByzRuntimeTests.Calculator": [
      "$s15ByzRuntimeTests10CalculatorC3addyS2d_SdtYaKFTE",
      "$s15ByzRuntimeTests10CalculatorC7checkedyS2dYaKFTE",
      "$s15ByzRuntimeTests10CalculatorC4failyyYaKFTE",
      "$s15ByzRuntimeTests10CalculatorC7nothingyyYaKFTE",
      "$s15ByzRuntimeTests10CalculatorC5countSiyYaKFTE",
      "$s15ByzRuntimeTests10CalculatorC4echoyxxYaKSeRzSERzlFTE",
      "$s15ByzRuntimeTests10CalculatorC7negatedy0A6Tensor0F0VySfGAHYaKFTE",
      "$s15ByzRuntimeTests10CalculatorC9exclusiveSbyYaKFTE",
      "$s15ByzRuntimeTests10CalculatorC19waitForCancellationyyYaKFTE",
      "$s15ByzRuntimeTests10CalculatorC3askySSACYaKFTE",
      "$s15ByzRuntimeTests10CalculatorC5titleSSyYaKFTE",
      "$s15ByzRuntimeTests10CalculatorC5titleSSvgTE",
    ],
    "ByzRuntimeTests.Postman": [
      "$s15ByzRuntimeTests7PostmanC11socketCount6atMostS2i_tYaKFTE",
      "$s15ByzRuntimeTests7PostmanC4openy0aB014MailboxAddressVSSYaKFTE",
      "$s15ByzRuntimeTests7PostmanC6senders6UInt64VSgyYaKFTE",
      "$s15ByzRuntimeTests7PostmanC7deliver_2toySi_0aB014MailboxAddressVtYaKFTE",
      "$s15ByzRuntimeTests7PostmanC8receivedySaySSGSiYaKFTE",
    ],
    "ByzKit.GossipHost": [
      "$s6ByzKit10GossipHostC3run6rounds4from9addressesSayAA0C6ReportVGSi_SiSay0A7Runtime14MailboxAddressVGtYaKFTE",
      "$s6ByzKit10GossipHostC4open3runAC5PlaceVSi_tYaKFTE",
      "$s6ByzKit10GossipHostC5model0A6Tensor0F0VySfGyYaKFTE",
    ],
    "ByzRuntimeTests.Ledger": [
      "$s15ByzRuntimeTests6LedgerC3addyS2iYaKFTE",
      "$s15ByzRuntimeTests6LedgerC5clearyyYaKFTE",
    ],
    "ByzRuntimeTests.Ledger.Page": ["$s15ByzRuntimeTests6LedgerC4PageC4readSiyYaKFTE"],
    "ByzRuntimeTests.Box<Swift.Int>": [
      "$s15ByzRuntimeTests3BoxC7contentxyYaKFTE", "$s15ByzRuntimeTests3BoxC8exchangeyxxYaKFTE",
    ],
  ]

  @Test("lists every actor of these tests")
  func complete() {
    let types = ByzActorSystem(registry: testRegistry).hello(namesBLAS: false).types.keys
    let actors = types.filter {
      $0.hasPrefix("ByzRuntimeTests.") && !$0.hasPrefix("ByzRuntimeTests.Box<")
        && $0 != "ByzRuntimeTests.TooLarge"
    }
    #expect(actors.count == 3)
    for name in actors { #expect(Self.targets[name] != nil, "\(name)") }
  }

  @Test("a method belongs to its own actor type, and to no other")
  func belonging() {
    for (owner, names) in Self.targets {
      for name in names {
        for type in Self.targets.keys {
          let isItsOwn = DistributedTarget(name, of: type) != nil
          #expect(isItsOwn == (type == owner), "\(name) \(type)")
        }
      }
    }
  }

  @Test(
    "names that are none belong to no type",
    arguments: [
      "", "$s", "add", "$sSS", "ByzRuntimeTests.Calculator.add()",
      String(repeating: "$s", count: 9999),
      "$s15ByzRuntimeTests10CalculatorC",
    ])
  func nonsense(_ name: String) {
    #expect(DistributedTarget(name, of: "ByzRuntimeTests.Calculator") == nil)
  }

  @Test("takes for its generic parameters the actor's own types, and one for each of the method's")
  func substitutions() throws {
    let box = "ByzRuntimeTests.Box<Swift.Int>"
    let content = "$s15ByzRuntimeTests3BoxC7contentxyYaKFTE"
    let paired = "$s15ByzRuntimeTests3BoxC6paired4withSSqd___tYaKSeRd__SERd__lFTE"
    let plain = try #require(DistributedTarget(content, of: box))
    #expect(plain.accepts(["Swift.Int"]))
    for wrong in [[], ["Swift.String"], ["Swift.Int", "Swift.Int"]] {
      #expect(!plain.accepts(wrong))
    }
    let method = "$s1M5PlainC1fyxx_Sayq_GtYaKSeRzSERzSeR_SER_SHR_r0_lFTE"
    let generic = try #require(DistributedTarget(method, of: "M.Plain"))
    #expect(generic.accepts(["Swift.Int", "Swift.String"]))
    for wrong in [[], ["Swift.Int"], Array(repeating: "Swift.Int", count: 3)] {
      #expect(!generic.accepts(wrong))
    }
    #expect(DistributedTarget(paired, of: box) == nil)
    // The arguments of a type's arguments are not the type's.
    let nested = "ByzRuntimeTests.Box<Swift.Dictionary<Swift.String, (Swift.Int, () -> ())>>"
    let inner = try #require(DistributedTarget(content, of: nested))
    #expect(inner.accepts(["Swift.Dictionary<Swift.String, (Swift.Int, () -> ())>"]))
    // Of an extension for some arguments only: what stands for its parameters is another list.
    #expect(DistributedTarget("$s1M3BoxCAASiRszrlE7specialyyYaKFTE", of: "M.Box<Swift.Int>") == nil)
    // Of a protocol's extension.
    #expect(DistributedTarget("$s1M7GreeterPAAE5helloSiyYaKFTE", of: "M.Plain") == nil)
  }

  @Test("a call with the wrong number of types, or with others than the actor's, is refused")
  func wrongTypes() async throws {
    let registry = Registry(actors: [Calculator.self, Box<Int>.self])
    try await withActorSystem(registry) { (system) async throws -> Void in
      let calculator = try await system.spawn(Calculator.self, "calc", on: .thread)
      let box = try await system.spawn(Box<Int>.self, 1, on: .thread)
      let calls: [(String, UInt64, [[String]])] = [
        (
          Self.targets["ByzRuntimeTests.Calculator"]![5], calculator.id.number,
          [[], ["Swift.Int", "Swift.Int"]]
        ),
        (Self.targets["ByzRuntimeTests.Calculator"]![0], calculator.id.number, [["Swift.Int"]]),
        ("$s15ByzRuntimeTests3BoxC7contentxyYaKFTE", box.id.number, [[], ["Swift.String"]]),
      ]
      for (target, number, lists) in calls {
        for substitutions in lists {
          let error = await #expect(throws: RuntimeError.self) {
            _ = try await system.perform(
              target, on: number, substitutions: substitutions, arguments: [.int(1)], segments: [])
          }
          #expect(error?.code == .unknownTarget)
        }
      }
      let answer = try await system.perform(
        calls[2].0, on: box.id.number, substitutions: ["Swift.Int"], arguments: [], segments: [])
      #expect(answer.kind == .reply)
    }
  }

  @Test("every registered method is refused by every wrong actor, and the process lives")
  func wrongActors() async throws {
    try await withActorSystem(testRegistry) { (system) async throws -> Void in
      let calculator = try await system.spawn(Calculator.self, "calc", on: .thread)
      let ledger = try await system.spawn(Ledger.self, 1, on: .thread)
      let page = try await system.spawn(Ledger.Page.self, 1, on: .thread)
      let box = try await system.spawn(Box<Int>.self, 1, on: .thread)
      let numbers = [
        "ByzRuntimeTests.Box<Swift.Int>": box.id.number,
        "ByzRuntimeTests.Calculator": calculator.id.number,
        "ByzRuntimeTests.Ledger": ledger.id.number,
        "ByzRuntimeTests.Ledger.Page": page.id.number,
      ]
      for (owner, names) in Self.targets {
        for name in names {
          for (type, number) in numbers where type != owner {
            let error = await #expect(throws: RuntimeError.self) {
              _ = try await system.perform(
                name, on: number, substitutions: [], arguments: [], segments: [])
            }
            #expect(error?.code == .unknownTarget)
          }
        }
      }
      // And accepted by the right one, so that the names above are real.
      let answer = try await system.perform(
        Self.targets["ByzRuntimeTests.Ledger.Page"]![0], on: page.id.number, substitutions: [],
        arguments: [], segments: [])
      #expect(answer.kind == .reply)
      for name in Self.targets["ByzRuntimeTests.Box<Swift.Int>"]! {
        let answer = try await system.perform(
          name, on: box.id.number, substitutions: ["Swift.Int"],
          arguments: name.contains("exchange") ? [.int(2)] : [], segments: [])
        #expect(answer.kind == .reply)
      }
      let tooFew = try await system.perform(
        Self.targets["ByzRuntimeTests.Calculator"]![0], on: calculator.id.number,
        substitutions: [], arguments: [], segments: [])
      #expect(tooFew.kind == .failure)
      #expect(try await calculator.add(1, 2) == 3)
    }
  }
}
