/// A set of small integers, as bits.
struct BitSet {
  private(set) var words: [UInt64]

  init(count: Int, full: Bool = false) {
    words = [UInt64](repeating: full ? .max : 0, count: (count + 63) / 64)
    if full, count % 64 != 0 { words[words.count - 1] = (1 << UInt64(count % 64)) - 1 }
  }

  func contains(_ i: Int) -> Bool { words[i >> 6] >> UInt64(i & 63) & 1 != 0 }
  mutating func insert(_ i: Int) { words[i >> 6] |= 1 << UInt64(i & 63) }
  mutating func remove(_ i: Int) { words[i >> 6] &= ~(1 << UInt64(i & 63)) }

  mutating func subtract(_ other: BitSet) {
    for w in words.indices { words[w] &= ~other.words[w] }
  }

  mutating func formIntersection(_ other: BitSet) {
    for w in words.indices { words[w] &= other.words[w] }
  }

  var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }

  /// The number of elements in both.
  func countShared(with other: BitSet) -> Int {
    var count = 0
    for w in words.indices { count += (words[w] & other.words[w]).nonzeroBitCount }
    return count
  }

  func forEach(_ body: (Int) -> Void) {
    for w in words.indices {
      var word = words[w]
      while word != 0 {
        body(w << 6 | word.trailingZeroBitCount)
        word &= word - 1
      }
    }
  }
}

/// Which vectors cannot be in one set: those farther apart than a threshold.
struct ConflictGraph {
  var neighbors: [BitSet]

  init(_ distances: [[Double]], farther threshold: Double) {
    let n = distances.count
    neighbors = distances.map { row in
      var set = BitSet(count: n)
      for (k, distance) in row.enumerated() where distance > threshold { set.insert(k) }
      return set
    }
  }
}

/// Decides by branch and bound whether the conflicts go away when at most `budget` vectors do: a bounded vertex cover.
struct ConflictSearch {
  struct LimitExceeded: Error {}

  let budget: Int
  let limit: Int
  var conflicts = ConflictGraph([], farther: 0)
  private var steps = 0

  init(budget: Int, limit: Int) {
    self.budget = budget
    self.limit = limit
  }

  private var n: Int { conflicts.neighbors.count }

  /// Whether deleting at most `budget` vectors leaves no conflict.
  mutating func isCoverable() throws(LimitExceeded) -> Bool {
    try isCoverable(BitSet(count: n, full: true), budget: budget)
  }

  /// The lexicographically smallest `count` vectors without a conflict; there are some.
  mutating func firstIndependentSet(count: Int) throws(LimitExceeded) -> [Int] {
    var candidates = BitSet(count: n, full: true)
    var chosen: [Int] = []
    var left = budget
    for i in 0..<n where chosen.count < count && candidates.contains(i) {
      // Keeping i costs the candidates that conflict with it; what remains must still be coverable.
      var rest = candidates
      rest.subtract(conflicts.neighbors[i])
      let cost = candidates.count - rest.count
      rest.remove(i)
      // A typed throw does not pass through the right side of &&.
      let isKept = cost <= left ? try isCoverable(rest, budget: left - cost) : false
      if isKept {
        chosen.append(i)
        candidates = rest
        left -= cost
      } else {
        candidates.remove(i)
        left -= 1
      }
    }
    return chosen
  }

  private mutating func isCoverable(_ start: BitSet, budget startBudget: Int) throws(LimitExceeded)
    -> Bool
  {
    var (alive, budget) = (start, startBudget)
    while true {
      steps += 1
      guard steps <= limit else { throw LimitExceeded() }
      var (busiest, most, sum) = (-1, 0, 0)
      var idle = BitSet(count: n)
      alive.forEach { i in
        let degree = conflicts.neighbors[i].countShared(with: alive)
        sum += degree
        if degree > most { (busiest, most) = (i, degree) }
        if degree == 0 { idle.insert(i) }
      }
      alive.subtract(idle)
      let edges = sum / 2
      if edges == 0 { return true }
      // One deletion ends at most `most` conflicts.
      if edges > budget * most { return false }
      if most <= 2 { return coverOfPathsAndCycles(alive) <= budget }
      var neighbors = conflicts.neighbors[busiest]
      neighbors.formIntersection(alive)
      if most > budget {
        // Keeping the busiest would cost more than there is.
        alive.remove(busiest)
        budget -= 1
        continue
      }
      var without = alive
      without.remove(busiest)
      if try isCoverable(without, budget: budget - 1) { return true }
      alive.remove(busiest)
      alive.subtract(neighbors)
      budget -= most
    }
  }

  /// The smallest cover where no vector has more than two conflicts: ⌊v/2⌋ of a path, ⌈v/2⌉ of a cycle of v vectors.
  private func coverOfPathsAndCycles(_ vectors: BitSet) -> Int {
    var unseen = vectors
    var cover = 0
    vectors.forEach { start in
      guard unseen.contains(start) else { return }
      var (size, degrees) = (0, 0)
      var frontier = [start]
      unseen.remove(start)
      while let i = frontier.popLast() {
        size += 1
        var linked = conflicts.neighbors[i]
        linked.formIntersection(vectors)
        degrees += linked.count
        linked.forEach { k in
          if unseen.contains(k) {
            unseen.remove(k)
            frontier.append(k)
          }
        }
      }
      let isCycle = degrees == 2 * size
      cover += isCycle ? (size + 1) / 2 : size / 2
    }
    return cover
  }
}
