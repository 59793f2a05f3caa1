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

  @Test("are found among keys that fall and rise, and with NaN, which counts as infinite")
  func shapes() {
    for n in [5, 400, 1000] {
      let shapes: [(Int) -> Double] = [
        { Double(($0 - n / 2) * ($0 - n / 2)) }, { Double(-abs($0 - n / 2)) },
        { $0 % 3 == 0 ? .nan : Double($0 % 7) }, { _ in .nan },
      ]
      for key in shapes {
        let finite = { (i: Int) in key(i).isNaN ? Double.infinity : key(i) }
        for count in [1, n / 2, n - n / 5] {
          #expect((0..<n).lowestSet(count, by: key) == (0..<n).lowest(count, by: finite).sorted())
        }
      }
    }
  }
}
