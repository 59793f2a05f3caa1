/// How far one run of a graph is: an event goes in, directives come out. Steps are positions in the
/// execution order.
package struct GraphState {
  package enum Event {
    case started
    /// The step has its value.
    case finished(Int)
  }

  package enum Directive: Hashable {
    /// Everything the step reads is there.
    case run(Int)
    /// No step to come reads the step's value, and no output is made of it.
    case release(Int)
  }

  private let dependencies: [Set<Int>]
  private let outputs: Set<Int>
  private let limit: Int
  private var dependents: [[Int]]
  /// How many of its dependencies each step still waits for.
  private var missing: [Int]
  /// How many steps have yet to read each step's value.
  private var readers: [Int]
  private var ready: SortedSet
  private var running = 0

  /// A run of steps with these dependencies, at most `limit` at a time, that keeps the values of
  /// `outputs`.
  package init(dependencies: [Set<Int>], outputs: Set<Int>, limit: Int) {
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
      for step in missing.indices where missing[step] == 0 { ready.insert(step) }
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
    for dependent in dependents[step] {
      missing[dependent] -= 1
      if missing[dependent] == 0 { ready.insert(dependent) }
    }
    return begin()
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
