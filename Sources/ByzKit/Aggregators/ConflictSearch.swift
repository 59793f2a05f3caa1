/// Decides whether a few deletions leave only vectors that are no farther apart than a threshold: a bounded vertex cover of the
/// graph of *conflicts*, the pairs that are too far apart, by branch and bound.
///
/// It counts each vector's conflicts and keeps the counts up to date, so a deletion is one subtraction of a row of numbers.
struct ConflictSearch: ~Copyable {
  private let n: Int
  /// How many vectors may be deleted.
  private let budget: Int
  private var steps: SearchSteps
  /// `conflicts[i·n + k]` is 1 if vectors i and k are too far apart, else 0.
  private let conflicts: UnsafeMutablePointer<Int32>
  /// For each level of the search the conflicts that every vector has with others that are left; far below 0 for one that is deleted.
  private let degrees: UnsafeMutablePointer<Int32>

  init(count n: Int, budget: Int, limit: Int) {
    self.n = n
    self.budget = budget
    steps = SearchSteps(limit: limit)
    conflicts = .allocate(capacity: n * n)
    // Each level but the first has deleted one vector more.
    degrees = .allocate(capacity: (budget + 2) * n)
  }

  deinit {
    conflicts.deallocate()
    degrees.deallocate()
  }

  /// Whether deleting as many vectors as there may be leaves none farther apart than `threshold`; `distances` is n×n.
  mutating func isCoverable(_ distances: [Double], farther threshold: Double) throws(SearchStop)
    -> Bool
  {
    let start = findConflicts(distances, farther: threshold)
    return try isCoverable(start, budget: budget)
  }

  /// The lexicographically smallest `count` vectors of which none are farther apart than `threshold`; there are some.
  mutating func firstIndependentSet(
    count: Int, _ distances: [Double], farther threshold: Double
  ) throws(SearchStop) -> [Int] {
    var state = findConflicts(distances, farther: threshold)
    var chosen: [Int] = []
    var left = budget
    for i in 0..<n where chosen.count < count && state.degrees[i] >= 0 {
      // Keeping i costs the vectors that conflict with it; what remains must still be coverable.
      let cost = Int(state.degrees[i])
      var isKept = cost == 0
      if cost > 0, cost <= left {
        var trial = copy(state, to: 1)
        deleteConflicts(of: i, in: &trial)
        isKept = try isCoverable(trial, budget: left - cost)
      }
      if isKept {
        chosen.append(i)
        deleteConflicts(of: i, in: &state)
        left -= cost
      } else {
        delete(i, in: &state)
        left -= 1
      }
    }
    return chosen
  }

  /// The vectors that are left at one level of the search.
  private struct State {
    let level: Int
    let degrees: UnsafeMutablePointer<Int32>
    /// The conflicts between all of them.
    var edges: Int
  }

  /// All vectors, and what conflicts they have.
  private func findConflicts(_ distances: [Double], farther threshold: Double) -> State {
    precondition(distances.count == n * n)
    var sum = 0
    distances.withUnsafeBufferPointer { distances in
      for i in 0..<n {
        let (from, to) = (distances.baseAddress! + i * n, conflicts + i * n)
        var degree: Int32 = 0
        for k in 0..<n {
          to[k] = from[k] > threshold ? 1 : 0
          degree &+= to[k]
        }
        degrees[i] = degree
        sum += Int(degree)
      }
    }
    return State(level: 0, degrees: degrees, edges: sum / 2)
  }

  private func copy(_ state: State, to level: Int) -> State {
    let copy = State(level: level, degrees: degrees + level * n, edges: state.edges)
    copy.degrees.update(from: state.degrees, count: n)
    return copy
  }

  private func delete(_ i: Int, in state: inout State) {
    let row = conflicts + i * n
    state.edges -= Int(state.degrees[i])
    for k in 0..<n { state.degrees[k] &-= row[k] }
    // Deleting others cannot bring it back to 0.
    state.degrees[i] = .min / 2
  }

  private func deleteConflicts(of i: Int, in state: inout State) {
    let row = conflicts + i * n
    var left = state.degrees[i]
    var k = 0
    while left > 0 {
      if row[k] > 0, state.degrees[k] > 0 {
        delete(k, in: &state)
        left -= 1
      }
      k += 1
    }
  }

  private mutating func isCoverable(_ start: State, budget startBudget: Int) throws(SearchStop)
    -> Bool
  {
    var (state, budget) = (start, startBudget)
    while true {
      try steps.take()
      if state.edges == 0 { return true }
      var (most, leaves) = (Int32(0), Int32(0))
      for i in 0..<n {
        most = max(most, state.degrees[i])
        leaves |= state.degrees[i] == 1 ? 1 : 0
      }
      // One deletion ends at most `most` conflicts.
      if state.edges > budget * Int(most) { return false }
      if leaves > 0 {
        // Of a vector with one conflict and its partner, no cover needs the former.
        delete(partner(of: first(with: 1, in: state), in: state), in: &state)
        budget -= 1
        continue
      }
      let busiest = first(with: most, in: state)
      if most == 2 || Int(most) > budget {
        // Cycles are left, of which each may lose any one vector; or keeping the busiest would cost more than there is.
        delete(busiest, in: &state)
        budget -= 1
        continue
      }
      var without = copy(state, to: state.level + 1)
      delete(busiest, in: &without)
      if try isCoverable(without, budget: budget - 1) { return true }
      deleteConflicts(of: busiest, in: &state)
      budget -= Int(most)
    }
  }

  private func first(with degree: Int32, in state: State) -> Int {
    var i = 0
    while state.degrees[i] != degree { i += 1 }
    return i
  }

  /// A vector that is left and conflicts with `i`.
  private func partner(of i: Int, in state: State) -> Int {
    let row = conflicts + i * n
    var k = 0
    while row[k] == 0 || state.degrees[k] < 0 { k += 1 }
    return k
  }
}
