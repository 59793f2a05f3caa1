/// Virtual time: next comes what is due first, and of that what was asked for first.
final class Timeline {
  private struct Entry {
    let time: Int
    let number: Int
    let action: () -> Void

    func isBefore(_ other: Entry) -> Bool {
      (time, number) < (other.time, other.number)
    }
  }

  /// Microseconds since the beginning.
  private(set) var now = 0
  private(set) var steps = 0
  /// A binary heap, the earliest first.
  private var heap: [Entry] = []
  private var count = 0

  /// Does something later, by that many microseconds.
  func after(_ delay: Int, _ action: @escaping () -> Void) {
    count += 1
    heap.append(Entry(time: now + max(0, delay), number: count, action: action))
    var child = heap.count - 1
    while child > 0, heap[child].isBefore(heap[(child - 1) / 2]) {
      heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  /// Goes to what is next and does it, unless nothing is or it is after `limit`.
  func step(until limit: Int) -> Bool {
    guard let first = heap.first, first.time <= limit else { return false }
    let last = heap.removeLast()
    if !heap.isEmpty {
      heap[0] = last
      sink()
    }
    now = first.time
    steps += 1
    first.action()
    return true
  }

  private func sink() {
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < heap.count && heap[child].isBefore(heap[least]) {
        least = child
      }
      guard least != parent else { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }

  /// Forgets what was to come, and with it whatever that kept alive.
  func clear() { heap = [] }
}
