/// How far one run of a graph is: an event goes in, directives come out. Steps are positions in the
/// execution order.
package struct GraphState {
  package enum Event {
    case started
    /// The step has its messages.
    case received(Int)
    /// The step has its value.
    case finished(Int)
  }

  package enum Directive: Hashable {
    /// Everything the step reads but its messages is there. Steps that wait for messages do not
    /// count as running.
    case receive(Int)
    /// Everything the step reads is there.
    case run(Int)
    /// No step to come reads the step's value, and no output is made of it.
    case release(Int)
  }

  private let dependencies: [Set<Int>]
  private let outputs: Set<Int>
  private let limit: Int
  /// The steps that wait for messages before they run.
  private let receivers: Set<Int>
  private var dependents: [[Int]]
  /// How many of its dependencies each step still waits for.
  private var missing: [Int]
  /// How many steps have yet to read each step's value.
  private var readers: [Int]
  private var ready: SortedSet
  private var running = 0

  /// A run of steps with these dependencies, at most `limit` at a time, that keeps the values of
  /// `outputs`; `receivers` wait for messages first.
  package init(
    dependencies: [Set<Int>], outputs: Set<Int>, limit: Int, receivers: Set<Int> = []
  ) {
    self.receivers = receivers
    self.dependencies = dependencies
    self.outputs = outputs
    self.limit = limit
    missing = dependencies.map(\.count)
    ready = SortedSet([])
    dependents = Array(repeating: [], count: dependencies.count)
    for (step, needed) in dependencies.enumerated() {
      for dependency in needed { dependents[dependency].append(step) }
    }
    readers = dependents.map(\.count)
  }

  package mutating func handle(_ event: Event) -> [Directive] {
    switch event {
    case .started:
      let receiving = missing.indices.filter { missing[$0] == 0 && !enter($0) }
      return receiving.map { .receive($0) } + begin()
    case .received(let step):
      ready.insert(step)
      return begin()
    case .finished(let step):
      running -= 1
      return release(readBy: step) + advance(past: step)
    }
  }

  private mutating func release(readBy step: Int) -> [Directive] {
    var directives: [Directive] = []
    for dependency in dependencies[step].sorted() {
      readers[dependency] -= 1
      if readers[dependency] == 0, !outputs.contains(dependency) {
        directives.append(.release(dependency))
      }
    }
    return directives
  }

  private mutating func advance(past step: Int) -> [Directive] {
    var directives: [Directive] = []
    for dependent in dependents[step] {
      missing[dependent] -= 1
      if missing[dependent] == 0, !enter(dependent) { directives.append(.receive(dependent)) }
    }
    return directives + begin()
  }

  /// Makes a step whose dependencies are there ready, unless it waits for messages.
  private mutating func enter(_ step: Int) -> Bool {
    if receivers.contains(step) { return false }
    ready.insert(step)
    return true
  }

  private mutating func begin() -> [Directive] {
    var directives: [Directive] = []
    while running < limit, let step = ready.popFirst() {
      running += 1
      directives.append(.run(step))
    }
    return directives
  }
}
