import ByzRuntime
import ByzRuntimeTestSupport
import Distributed
import Testing

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
      getter,
      "$s15ByzRuntimeTests10CalculatorC18isOnFirstProcessorSbyYaKFTE",
    ],
    "ByzRuntimeTests.Judge": ["$s15ByzRuntimeTests5JudgeC10stopCalleryyYaKFTE"],
    "ByzRuntimeTests.Accused": ["$s15ByzRuntimeTests7AccusedC4callyyAA5JudgeCYaKFTE"],
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

  /// Another name of a property, under which the program has no record of it.
  private static let getter = "$s15ByzRuntimeTests10CalculatorC5titleSSvgTE"

  /// A generic method of a generic actor, which no call reaches from outside.
  private static let paired = "$s15ByzRuntimeTests3BoxC6paired4withSSqd___tYaKSeRd__SERd__lFTE"

  /// The actors of these tests' registry.
  private static var actors: Set<String> {
    let types = ByzActorSystem(registry: testRegistry).hello(namesBLAS: false).types.keys
    return Set(
      types.filter { $0.hasPrefix("ByzRuntimeTests.") && $0 != "ByzRuntimeTests.TooLarge" })
  }

  @Test("lists every actor of these tests")
  func complete() {
    let actors = Self.actors.filter { !$0.hasPrefix("ByzRuntimeTests.Box<") }
    #expect(actors.count == 3)
    for name in actors { #expect(Self.targets[name] != nil, "\(name)") }
  }

  #if os(Linux)
    @Test("lists every distributed method of these tests and of the library")
    func recorded() throws {
      let recorded = Set(
        try DistributedRecords.names().filter {
          $0.hasPrefix("$s15ByzRuntimeTests") || $0.hasPrefix("$s6ByzKit")
        })
      let listed = Set(Self.targets.values.joined()).union([Self.paired])
      #expect(recorded.subtracting(listed) == [])
      #expect(listed.subtracting(recorded) == [Self.getter])
    }
  #endif

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
      "$s15ByzRuntimeTests10CalculatorC",
    ])
  func nonsense(_ name: String) {
    #expect(DistributedTarget(name, of: "ByzRuntimeTests.Calculator") == nil)
  }

  @Test("takes for its generic parameters the actor's own types, and one for each of the method's")
  func substitutions() throws {
    let box = "ByzRuntimeTests.Box<Swift.Int>"
    let content = "$s15ByzRuntimeTests3BoxC7contentxyYaKFTE"
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
    #expect(DistributedTarget(Self.paired, of: box) == nil)
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

  @Test("a short name that stands for gigabytes is refused before it is read")
  func longNames() async throws {
    // A method of the actor whose parameter is a dictionary of dictionaries, each of two that are the same: 2²² strings, and more.
    let depth = 22
    let same = (0..<depth - 1).map {
      "A\(Character(UnicodeScalar(UInt8(ascii: "E") + UInt8($0))))G"
    }
    let name =
      "$s15ByzRuntimeTests10CalculatorC1fyy" + String(repeating: "SDy", count: depth) + "S2SG"
      + same.joined() + "YaKFTE"
    try await withActorSystem(testRegistry) { (system) async throws -> Void in
      let calculator = try await system.spawn(Calculator.self, "calc", on: .thread)
      let start = ContinuousClock.now
      let error = await #expect(throws: RuntimeError.self) {
        _ = try await system.perform(
          name, on: calculator.id.number, substitutions: [], arguments: [], segments: [])
      }
      #expect(error?.code == .unknownTarget)
      // To read it takes some seconds.
      #expect(ContinuousClock.now - start < .seconds(1))
    }
  }

  @Test("every registered method is refused by every wrong actor, and the process lives")
  func wrongActors() async throws {
    let owners = Dictionary(
      Self.targets.flatMap { owner, names in names.map { ($0, owner) } }, uniquingKeysWith: { $1 })
    #if os(Linux)
      // Those of other tests' actors, too.
      let names = try Set(owners.keys).union(DistributedRecords.names())
    #else
      let names = Set(owners.keys)
    #endif
    try await withActorSystem(testRegistry) { (system) async throws -> Void in
      let calculator = try await system.spawn(Calculator.self, "calc", on: .thread)
      let ledger = try await system.spawn(Ledger.self, 1, on: .thread)
      let page = try await system.spawn(Ledger.Page.self, 1, on: .thread)
      let box = try await system.spawn(Box<Int>.self, 1, on: .thread)
      let texts = try await system.spawn(Box<[String]>.self, ["one"], on: .thread)
      let numbers = [
        "ByzRuntimeTests.Box<Swift.Int>": box.id.number,
        "ByzRuntimeTests.Box<Swift.Array<Swift.String>>": texts.id.number,
        "ByzRuntimeTests.Calculator": calculator.id.number,
        "ByzRuntimeTests.Ledger": ledger.id.number,
        "ByzRuntimeTests.Ledger.Page": page.id.number,
      ]
      #expect(Set(numbers.keys) == Self.actors)
      for name in names {
        for (type, number) in numbers where type != owners[name] {
          // With the second, methods of a box of numbers are asked of one of texts.
          for substitutions in [[], ["Swift.Int"]] {
            let error = await #expect(throws: RuntimeError.self, "\(name) \(type)") {
              _ = try await system.perform(
                name, on: number, substitutions: substitutions, arguments: [], segments: [])
            }
            #expect(error?.code == .unknownTarget, "\(name) \(type)")
          }
        }
      }
      #expect(try await texts.content() == ["one"])
      #expect(try await ledger.add(1) == 2)
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
