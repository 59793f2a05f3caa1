import ByzKit
import Testing

@Suite("The numbers of smallest key")
struct LowestSetTests {
  @Test("are those that sorting finds, with ties and infinite keys, in ascending order")
  func asSorted() {
    var word: UInt64 = 1
    for n in [1, 2, 3, 10, 65, 200] {
      for spread: UInt64 in [2, 5, 1 << 40] {
        let keys = (0..<n).map { _ in
          word = word &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
          return word >> 60 == 0 ? Double.infinity : Double((word >> 20) % spread)
        }
        for count in Set([0, 1, n / 3, n - 1, n]) {
          #expect(
            (0..<n).lowestSet(count) { keys[$0] } == (0..<n).lowest(count) { keys[$0] }.sorted())
        }
      }
    }
  }
}
