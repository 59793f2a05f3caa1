import ByzSimulation
import Testing

@Suite("Simulation in virtual time")
struct SimulationTests {
  @Test("No seed breaks a promise", arguments: 0..<4)
  func seeds(batch: Int) {
    for seed in UInt64(batch) * 25..<UInt64(batch + 1) * 25 {
      let outcome = Simulation().run(seed: seed)
      #expect(outcome.violation == nil, "byzkit-simulate --seed \(seed) --trace")
    }
  }

  @Test(
    "A seed is the same run each time, event for event", arguments: [0, 1, 2, 3, 4] as [UInt64])
  func replays(seed: UInt64) {
    let first = Simulation(keepsTrace: true).run(seed: seed)
    let second = Simulation(keepsTrace: true).run(seed: seed)
    #expect(first.digest == second.digest)
    #expect(first.trace == second.trace)
    #expect(first.counts.events > 10)
    #expect(first.digest != Simulation().run(seed: seed + 1).digest)
  }

  @Test("A failing seed fails the same way each time")
  func failureReplays() throws {
    let simulation = Simulation(plant: .lostWorkDropped)
    let failed = try #require(
      (0..<500).lazy.map { simulation.run(seed: $0) }.first { $0.violation != nil })
    let again = Simulation(plant: .lostWorkDropped, keepsTrace: true).run(seed: failed.seed)
    #expect(again.violation == failed.violation)
    #expect(again.digest == failed.digest)
    #expect(again.trace.last?.contains("VIOLATION") == true)
  }

  @Test("Each planted bug is found", arguments: Plant.allCases)
  func plants(plant: Plant) {
    let simulation = Simulation(plant: plant)
    #expect((0..<1_000).contains { simulation.run(seed: $0).violation != nil })
  }
}
