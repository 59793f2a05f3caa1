/// Which numbers have been seen, of numbers from 1 that come about in order and without end. Bounded: where too many are missing, it
/// says of the lowest that they have been seen.
package struct SeenNumbers {
  /// Ascending and apart; the first begins at 0.
  private var ranges: [ClosedRange<UInt64>] = [0...0]

  /// The most ranges that are kept apart.
  private static let mostRanges = 4096

  package init() {}

  /// Whether the number is new.
  package mutating func insert(_ number: UInt64) -> Bool {
    let next = firstRange(above: number)
    let before = ranges[next - 1]
    guard number > before.upperBound else { return false }
    let joinsBefore = before.upperBound + 1 == number
    if next < ranges.count, number + 1 == ranges[next].lowerBound {
      ranges[next] = (joinsBefore ? before.lowerBound : number)...ranges[next].upperBound
      if joinsBefore { ranges.remove(at: next - 1) }
    } else if joinsBefore {
      ranges[next - 1] = before.lowerBound...number
    } else {
      ranges.insert(number...number, at: next)
      if ranges.count > Self.mostRanges {
        ranges[0] = 0...ranges[1].upperBound
        ranges.remove(at: 1)
      }
    }
    return true
  }

  /// The index of the first range that begins above the number; at least 1. Mostly there is none.
  private func firstRange(above number: UInt64) -> Int {
    var (low, high) = (1, ranges.count)
    if ranges[high - 1].lowerBound <= number { return high }
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].lowerBound > number { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
