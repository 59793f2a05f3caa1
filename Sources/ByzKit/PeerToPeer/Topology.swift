import ByzTensor

/// Who sends to whom: a directed graph over nodes 0 ..< n, without self-loops or duplicate edges.
///
/// ```swift
/// let ring = try Topology.ring(8, k: 2)          // each node and its two nearest on either side
/// let line = try Topology(nodes: 3, edges: [(0, 1), (1, 2)])
/// let torus = try Topology(parsing: "torus:rows=2,columns=3")
/// ```
///
/// Lists of neighbors are in ascending order, whatever order the edges were given in.
public struct Topology: Hashable, Sendable {
  /// For each node the nodes it sends to, ascending.
  private let outgoing: [[Int]]
  /// For each node the nodes it receives from, ascending.
  private let incoming: [[Int]]

  /// n, the number of nodes.
  public var nodeCount: Int { outgoing.count }
  /// The number of directed edges; an undirected one counts twice.
  public var edgeCount: Int { outgoing.reduce(0) { $0 + $1.count } }
  /// Whether everyone who sends to a node also hears from it.
  public var isUndirected: Bool { outgoing == incoming }

  /// The nodes that `node` sends to, ascending.
  ///
  /// - Precondition: `0 ≤ node < n`.
  public func outNeighbors(of node: Int) -> [Int] { outgoing[node] }

  /// The nodes that `node` receives from, ascending.
  ///
  /// - Precondition: `0 ≤ node < n`.
  public func inNeighbors(of node: Int) -> [Int] { incoming[node] }

  /// How many a node hears and is heard by; one that does both counts twice.
  func neighborCount(of node: Int) -> Int {
    inNeighbors(of: node).count + outNeighbors(of: node).count
  }

  /// A topology from a list of edges.
  ///
  /// - Parameters:
  ///   - nodes: n, at least 1.
  ///   - edges: pairs (from, to); undirected ones go both ways and are listed once.
  ///   - directed: whether an edge goes one way only.
  /// - Throws: ``TopologyError``, which names the edge that is a self-loop, listed twice, or
  ///   outside of 0 ..< n.
  /// - Complexity: O(n + e log e).
  public init(
    nodes: Int, edges: some Sequence<(Int, Int)>, directed: Bool = false
  ) throws(TopologyError) {
    try TopologyError.require(nodes >= 1, "nodes", nodes, "at least 1")
    var outgoing = [[Int]](repeating: [], count: nodes)
    for (from, to) in edges {
      guard (0..<nodes).contains(from), (0..<nodes).contains(to) else {
        throw .nodeOutOfRange(from: from, to: to, nodes: nodes)
      }
      guard from != to else { throw .selfLoop(from) }
      outgoing[from].append(to)
      if !directed { outgoing[to].append(from) }
    }
    for from in outgoing.indices {
      outgoing[from].sort()
      for (a, b) in zip(outgoing[from], outgoing[from].dropFirst()) where a == b {
        throw .duplicateEdge(from: from, to: a)
      }
    }
    self.init(checked: outgoing)
  }

  /// Sorted lists without self-loops, duplicates and strangers.
  private init(checked outgoing: [[Int]]) {
    self.outgoing = outgoing
    var incoming = [[Int]](repeating: [], count: outgoing.count)
    for (from, list) in outgoing.enumerated() {
      for to in list { incoming[to].append(from) }
    }
    self.incoming = incoming
  }

  /// Lists that may repeat themselves or the node: what wraps around a small ring or torus.
  private init(wrapping lists: [Set<Int>]) {
    self.init(checked: lists.enumerated().map { $1.subtracting([$0]).sorted() })
  }
}

// MARK: - Shapes

extension Topology {
  /// Each node and the `k` nearest on either side: degree 2k, or n - 1 where the ring is too short
  /// for that.
  ///
  /// - Throws: ``TopologyError/invalidParameter(name:value:requirement:)`` unless n ≥ 1 and k ≥ 1.
  public static func ring(_ n: Int, k: Int = 1) throws(TopologyError) -> Topology {
    try TopologyError.require(n >= 1, "nodes", n, "at least 1")
    try TopologyError.require(k >= 1, "k", k, "at least 1")
    // Beyond half way round there is no one new.
    let reach = min(k, n / 2)
    return Topology(
      wrapping: (0..<n).map { node in
        var near: Set<Int> = []
        for step in 0..<reach {
          near.insert((node + step + 1) % n)
          near.insert((node + n - step - 1) % n)
        }
        return near
      })
  }

  /// Everyone sends to everyone.
  ///
  /// - Throws: ``TopologyError/invalidParameter(name:value:requirement:)`` unless n ≥ 1.
  public static func complete(_ n: Int) throws(TopologyError) -> Topology {
    try TopologyError.require(n >= 1, "nodes", n, "at least 1")
    return Topology(checked: (0..<n).map { node in (0..<n).filter { $0 != node } })
  }

  /// Node 0 and everyone else, both ways; the others do not hear each other.
  ///
  /// - Throws: ``TopologyError/invalidParameter(name:value:requirement:)`` unless n ≥ 1.
  public static func star(_ n: Int) throws(TopologyError) -> Topology {
    try TopologyError.require(n >= 1, "nodes", n, "at least 1")
    return Topology(checked: (0..<n).map { $0 == 0 ? Array(1..<n) : [0] })
  }

  /// A grid whose edges wrap around: node `row·columns + column` and the four beside it, fewer
  /// where some of them are the same.
  ///
  /// - Throws: ``TopologyError/invalidParameter(name:value:requirement:)`` unless rows and columns
  ///   are at least 1.
  public static func torus(rows: Int, columns: Int) throws(TopologyError) -> Topology {
    try TopologyError.require(rows >= 1, "rows", rows, "at least 1")
    try TopologyError.require(columns >= 1, "columns", columns, "at least 1")
    let (n, overflow) = rows.multipliedReportingOverflow(by: columns)
    try TopologyError.require(!overflow, "rows", rows, "small enough for rows × columns")
    return Topology(
      wrapping: (0..<n).map { node in
        let (row, column) = (node / columns, node % columns)
        let (below, above) = ((row + 1) % rows, (row + rows - 1) % rows)
        let (right, left) = ((column + 1) % columns, (column + columns - 1) % columns)
        return [
          below * columns + column, above * columns + column, row * columns + right,
          row * columns + left,
        ]
      })
  }

  /// Each of the n(n - 1)/2 undirected edges is there with probability p, independently.
  ///
  /// The same seed gives the same edges on every machine. Below p ≈ ln n / n the graph is seldom
  /// connected: ask ``isConnected``.
  ///
  /// - Throws: ``TopologyError/invalidParameter(name:value:requirement:)`` unless n ≥ 1 and 0 ≤ p ≤
  ///   1.
  /// - Complexity: O(n²).
  ///
  /// Source: Erdős, Rényi, *On Random Graphs I*, 1959; this is Gilbert's variant G(n, p).
  public static func erdosRenyi(
    _ n: Int, p: Double, seed: UInt64
  ) throws(TopologyError) -> Topology {
    try TopologyError.require(n >= 1, "nodes", n, "at least 1")
    try TopologyError.require(p >= 0 && p <= 1, "p", p, "from 0 to 1")
    var stream = RandomStream(RandomKey(seed).derived(for: "Erdős–Rényi"))
    var lists = [Set<Int>](repeating: [], count: n)
    for a in 0..<n {
      for b in a + 1..<n where stream.uniform() < p {
        lists[a].insert(b)
        lists[b].insert(a)
      }
    }
    return Topology(wrapping: lists)
  }
}

// MARK: - Connectivity

extension Topology {
  /// Whether what any node knows can reach every other, along the edges' directions.
  public var isConnected: Bool { components.count == 1 }

  /// The strongly connected components: largest sets of nodes that can all reach each other. Each
  /// is ascending, and they come in the order of their first nodes.
  ///
  /// - Complexity: O(c·(n + e)) for c components.
  public var components: [[Int]] {
    var found = [Bool](repeating: false, count: nodeCount)
    var components: [[Int]] = []
    for node in 0..<nodeCount where !found[node] {
      let forwards = reached(from: node, along: outgoing)
      let backwards = reached(from: node, along: incoming)
      let component = (0..<nodeCount).filter { forwards[$0] && backwards[$0] }
      for member in component { found[member] = true }
      components.append(component)
    }
    return components
  }

  private func reached(from start: Int, along lists: [[Int]]) -> [Bool] {
    var seen = [Bool](repeating: false, count: nodeCount)
    seen[start] = true
    var open = [start]
    while let node = open.popLast() {
      for next in lists[node] where !seen[next] {
        seen[next] = true
        open.append(next)
      }
    }
    return seen
  }
}

// MARK: - Codable

extension Topology: Codable {
  /// Reads, for each node, the nodes it sends to, and checks them as
  /// ``init(nodes:edges:directed:)`` does.
  public init(from decoder: any Decoder) throws {
    let lists = try [[Int]](from: decoder)
    let edges = lists.enumerated().flatMap { from, list in list.map { (from, $0) } }
    try self.init(nodes: lists.count, edges: edges, directed: true)
  }

  /// Writes, for each node, the nodes it sends to.
  public func encode(to encoder: any Encoder) throws { try outgoing.encode(to: encoder) }
}
