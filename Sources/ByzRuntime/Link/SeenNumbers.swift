/// Which numbers have been seen, of numbers that come about in order and without end. Bounded: of those far behind, it says that they
/// have been.
package struct SeenNumbers {
  private var floor: UInt64 = 0
  private var above: Set<UInt64> = []

  package init() {}

  /// Whether the number is new.
  package mutating func insert(_ number: UInt64) -> Bool {
    guard number > floor, above.insert(number).inserted else { return false }
    while floor < .max, above.remove(floor + 1) != nil { floor += 1 }
    if above.count > 4096, let lowest = above.min() {
      above.remove(lowest)
      floor = lowest
    }
    return true
  }
}
