import ByzRuntime
import Synchronization
import Testing

@Suite("Patience")
struct PatienceTests {
  @Test("ends")
  func ends() {
    let time = ContinuousClock().measure {
      var patience = Patience()
      patience.begin()
      while patience.lasts() {}
    }
    #expect(time < .seconds(5))
  }

  @Test("is over at once while other threads need the processor")
  func crowded() {
    let before = Patience.crowdedUntil.exchange(.max, ordering: .relaxed)
    defer { Patience.crowdedUntil.store(before, ordering: .relaxed) }
    var patience = Patience()
    patience.begin()
    let lasts = patience.lasts()
    #expect(!lasts)
  }

  @Test("is none after a long wait, and back after a short one")
  func long() {
    var patience = Patience()
    patience.begin()
    let end = ContinuousClock.now + .milliseconds(1)
    while ContinuousClock.now < end {}
    patience.end()
    #expect(!patience.isWarranted)
    patience.begin()
    let lasts = patience.lasts()
    #expect(!lasts)
    // More than once: the test itself may be made to wait.
    for _ in 0..<100 where !patience.isWarranted {
      patience.begin()
      patience.end()
    }
    #expect(patience.isWarranted)
  }
}
