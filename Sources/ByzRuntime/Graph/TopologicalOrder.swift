/// The nodes `0 ..< dependencies.count` in an order where each comes after its dependencies: of
/// those that could be next, always the lowest.
///
/// - Throws: what `cycleError` makes of the nodes on a cycle, each of which needs the one before
///   it.
func topologicalOrder(
  _ dependencies: [Set<Int>], cycleError: ([Int]) -> GraphError
) throws(GraphError) -> [Int] {
  var dependents = [[Int]](repeating: [], count: dependencies.count)
  for (node, needed) in dependencies.enumerated() {
    for dependency in needed { dependents[dependency].append(node) }
  }
  var missing = dependencies.map(\.count)
  var ready = SortedSet(missing.indices.filter { missing[$0] == 0 })
  var order: [Int] = []
  while let node = ready.popFirst() {
    order.append(node)
    for dependent in dependents[node] {
      missing[dependent] -= 1
      if missing[dependent] == 0 { ready.insert(dependent) }
    }
  }
  guard order.count == dependencies.count else {
    throw cycleError(someCycle(dependencies, among: Set(dependencies.indices).subtracting(order)))
  }
  return order
}

/// A cycle among nodes each of which has a dependency among them.
private func someCycle(_ dependencies: [Set<Int>], among stuck: Set<Int>) -> [Int] {
  var path: [Int] = []
  var node = stuck.min()!
  // Whoever follows dependencies inside a finite set meets a node again.
  while !path.contains(node) {
    path.append(node)
    node = dependencies[node].filter(stuck.contains).min()!
  }
  let cycle = Array(path[path.firstIndex(of: node)!...].reversed())
  let start = cycle.firstIndex(of: cycle.min()!)!
  return Array(cycle[start...] + cycle[..<start])
}

/// A few numbers of which the lowest is wanted next.
struct SortedSet {
  /// Highest first, so that taking the lowest moves nothing.
  private var elements: [Int]

  init(_ elements: [Int]) { self.elements = elements.sorted(by: >) }

  mutating func popFirst() -> Int? { elements.popLast() }

  mutating func insert(_ element: Int) {
    let position = elements.lastIndex { $0 > element }.map { $0 + 1 } ?? 0
    elements.insert(element, at: position)
  }
}
