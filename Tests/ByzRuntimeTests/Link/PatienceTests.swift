import ByzRuntime
import Synchronization
import Testing

@Suite("Patience")
struct PatienceTests {
  @Test("ends")
  func ends() {
    let time = ContinuousClock().measure {
      var patience = Patience()
      while patience.lasts() {}
    }
    #expect(time < .seconds(5))
  }

  @Test("is over at once while other threads need the processor")
  func crowded() {
    let before = Patience.crowdedUntil.exchange(.max, ordering: .relaxed)
    defer { Patience.crowdedUntil.store(before, ordering: .relaxed) }
    var patience = Patience()
    let lasts = patience.lasts()
    #expect(!lasts)
  }
}
