import ByzRuntime
import ByzTensor
import Distributed

struct TooLarge: Error, Codable, Equatable { let limit: Double }
struct Unregistered: Error { let detail = "of the other process" }

distributed actor Calculator: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private let name: String
  private var calls = 0
  private var isBusy = false

  init(_ name: String, actorSystem: ByzActorSystem) throws {
    guard !name.isEmpty else { throw TooLarge(limit: 0) }
    self.name = name
    self.actorSystem = actorSystem
  }

  distributed func add(_ a: Double, _ b: Double) -> Double { a + b }
  distributed var title: String { name }

  distributed func checked(_ a: Double) throws -> Double {
    guard a < 100 else { throw TooLarge(limit: 100) }
    return a
  }

  distributed func fail() throws { throw Unregistered() }
  distributed func nothing() {}
  distributed func count() -> Int {
    calls += 1
    return calls
  }

  distributed func echo<Value: Codable & Sendable>(_ value: Value) -> Value { value }
  distributed func negated(_ tensor: Tensor<Float>) -> Tensor<Float> {
    Tensor(tensor.elements.map { -$0 })
  }

  /// Whether another call was under way, for as long as two calls at once would meet: actors run one at a time between two
  /// suspensions.
  distributed func exclusive() -> Bool {
    defer { isBusy = false }
    let wasBusy = isBusy
    isBusy = true
    let end = ContinuousClock.now + .microseconds(200)
    while ContinuousClock.now < end {}
    return !wasBusy
  }

  #if os(Linux)
    distributed func isOnFirstProcessor() -> Bool { isKeptOnFirstProcessor() }
  #endif

  /// Waits until it is cancelled.
  distributed func waitForCancellation() async throws {
    try await Task.sleep(for: .seconds(60))
  }

  distributed func ask(_ other: Calculator) async throws -> String { try await other.title }
}

/// Another actor, whose methods are not the calculator's.
distributed actor Ledger: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private var total: Int

  init(_ start: Int, actorSystem: ByzActorSystem) {
    total = start
    self.actorSystem = actorSystem
  }

  distributed func add(_ amount: Int) -> Int {
    total += amount
    return total
  }

  distributed actor Page: RemoteActor {
    typealias ActorSystem = ByzActorSystem
    private let number: Int
    init(_ number: Int, actorSystem: ByzActorSystem) {
      self.number = number
      self.actorSystem = actorSystem
    }
    distributed func read() -> Int { number }
  }
}

extension Ledger {
  distributed func clear() { total = 0 }
}

/// An actor of any kind of thing.
distributed actor Box<Content: Codable & Sendable>: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private var thing: Content

  init(_ content: Content, actorSystem: ByzActorSystem) {
    thing = content
    self.actorSystem = actorSystem
  }

  distributed func content() -> Content { thing }
  distributed func exchange(_ other: Content) -> Content {
    defer { thing = other }
    return thing
  }
  distributed func paired<Other: Codable & Sendable>(with other: Other) -> String {
    "\(thing) and \(other)"
  }
}

let testRegistry = Registry(
  actors: [Calculator.self, Ledger.self, Ledger.Page.self, Box<Int>.self, Box<[String]>.self],
  values: [[String].self], errors: [TooLarge.self])
