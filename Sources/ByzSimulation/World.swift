import ByzRuntime
import ByzTensor

/// What everything in one simulated run shares: time, chance, the trace, and the first broken promise.
final class World {
  let timeline = Timeline()
  let plant: Plant?
  let faults: FaultProfile
  var dice: RandomStream
  /// Of everything that was noted: two runs of one seed have the same.
  private(set) var digest: UInt64 = 0xCBF2_9CE4_8422_2325
  private(set) var lines: [String]?
  private(set) var violation: String?
  var counts = SimulationCounts()
  /// Everything that would keep itself alive.
  private var cables: [Cable] = []

  init(seed: UInt64, plant: Plant?, keepsTrace: Bool) {
    let key = RandomKey(seed)
    self.plant = plant
    var choices = RandomStream(key.derived(for: "faults"))
    faults = FaultProfile(&choices)
    dice = RandomStream(key.derived(for: "events"))
    lines = keepsTrace ? [] : nil
  }

  var now: Duration { .microseconds(timeline.now) }

  func chance(_ probability: Double) -> Bool { dice.uniform() < probability }

  func pick(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + dice.integer(below: range.count)
  }

  /// Adds an event to the trace, which ends with the first broken promise.
  func note(_ what: StaticString, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0) {
    guard violation == nil else { return }
    what.withUTF8Buffer { for byte in $0 { mix(UInt64(byte)) } }
    for number in [timeline.now, a, b, c] { mix(UInt64(bitPattern: Int64(number))) }
    lines?.append("\(timeline.now) µs: \(what) \(a) \(b) \(c)")
  }

  private func mix(_ value: UInt64) { digest = (digest ^ value) &* 0x100_0000_01B3 }

  /// Says that a promise was broken; the first one counts.
  func violate(_ message: @autoclosure () -> String) {
    guard violation == nil else { return }
    violation = message()
    lines?.append("\(timeline.now) µs: VIOLATION \(message())")
  }

  func keep(_ cable: Cable) { cables.append(cable) }

  /// Calls of either side that have not ended, on connections whose hosts live.
  var pendingCount: Int { cables.reduce(0) { $0 + $1.pendingCount } }

  /// Lets go of everything.
  func dispose() {
    timeline.clear()
    for cable in cables { cable.dispose() }
    cables = []
  }
}

/// What may go wrong in a run, and how often.
struct FaultProfile {
  /// Whether messages travel in a stream, as over TCP; else each for itself, as over a fabric.
  let isStream: Bool
  /// Whether nothing goes wrong at all.
  let isCalm: Bool
  /// Microseconds that a message takes at most.
  let delay: Int
  let drop: Double
  let duplicate: Double
  /// How often a message comes once more, long after, on a later connection.
  let ghost: Double
  /// Until when hosts and links fail, in microseconds.
  let end: Int
  /// Microseconds between two faults, on average.
  let pause: Int

  init(_ dice: inout RandomStream) {
    isStream = dice.uniform() < 0.5
    isCalm = dice.uniform() < 0.1
    delay = 200 + dice.integer(below: 20_000)
    let isLossy = !isStream && !isCalm
    drop = isLossy && dice.uniform() < 0.7 ? 0.02 * dice.uniform() : 0
    duplicate = isLossy ? 0.2 * dice.uniform() : 0
    ghost = isLossy ? 0.2 * dice.uniform() : 0
    end = 2_000_000
    pause = 20_000 + dice.integer(below: 400_000)
  }
}

/// How much happened.
package struct SimulationCounts: Sendable {
  package var events = 0
  package var messages = 0
  package var connections = 0
  package var subtasks = 0
  package var returned = 0
  package var refused = 0
  package var retries = 0
  package var rounds = 0
  package var gossip = 0
  /// Letters that were sent, and what became of them.
  package var letters = 0
  package var received = 0
  package var unknown = 0
  package var passedOn = 0
  package var faults = 0

  package init() {}

  package mutating func add(_ other: SimulationCounts) {
    events += other.events
    messages += other.messages
    connections += other.connections
    subtasks += other.subtasks
    returned += other.returned
    refused += other.refused
    retries += other.retries
    rounds += other.rounds
    gossip += other.gossip
    letters += other.letters
    received += other.received
    unknown += other.unknown
    passedOn += other.passedOn
    faults += other.faults
  }
}
