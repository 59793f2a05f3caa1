import ByzKit
import Foundation
import Testing

@Suite("Topology")
struct TopologyTests {
  /// Every shape at small and middling sizes.
  static let all: [Topology] = {
    do {
      return try (1...7).flatMap { n in
        [
          try .complete(n), try .star(n), try .ring(n), try .ring(n, k: 2), try .ring(n, k: 9),
          try .torus(rows: 1, columns: n), try .torus(rows: 2, columns: n),
          try .torus(rows: 3, columns: n), try .erdosRenyi(n, p: 0.4, seed: UInt64(n)),
        ]
      }
    } catch {
      return []
    }
  }()

  @Test("has no self-loops and no duplicate edges, however small (ByzPy's small rings have)")
  func noDoubles() throws {
    #expect(Self.all.count == 63)
    for topology in Self.all {
      for node in 0..<topology.nodeCount {
        let neighbors = topology.outNeighbors(of: node)
        #expect(!neighbors.contains(node))
        #expect(neighbors == Set(neighbors).sorted())
      }
      #expect(topology.isUndirected)
    }
    #expect(try Topology.ring(1).outNeighbors(of: 0) == [])
  }

  @Test("in-neighbors are the out-neighbors turned round, so their number is not inflated")
  func turnedRound() throws {
    let directed = try Topology(nodes: 4, edges: [(0, 1), (2, 1), (1, 3)], directed: true)
    for topology in Self.all + [directed] {
      let n = topology.nodeCount
      for a in 0..<n {
        for b in 0..<n {
          #expect(
            topology.outNeighbors(of: a).contains(b) == topology.inNeighbors(of: b).contains(a))
        }
      }
    }
    #expect(directed.inNeighbors(of: 1) == [0, 2])
    #expect(!directed.isUndirected)
  }

  @Test("rings, stars, complete graphs and tori have the degrees they are known for")
  func degrees() throws {
    let ring = try Topology.ring(7, k: 2)
    #expect(ring.outNeighbors(of: 0) == [1, 2, 5, 6])
    #expect(try Topology.ring(4, k: 2) == .complete(4))
    #expect(try Topology.ring(3, k: 2) == .complete(3))
    #expect(try Topology.ring(2) == .complete(2))
    let star = try Topology.star(4)
    #expect(star.outNeighbors(of: 0) == [1, 2, 3])
    #expect(star.outNeighbors(of: 3) == [0])
    #expect(try Topology.complete(5).edgeCount == 20)
    #expect(try Topology.torus(rows: 3, columns: 4).outNeighbors(of: 0) == [1, 3, 4, 8])
    #expect(try Topology.torus(rows: 2, columns: 2).outNeighbors(of: 0) == [1, 2])
    #expect(try Topology.torus(rows: 1, columns: 5) == .ring(5))
  }

  @Test("a random graph is the same for the same seed, and has about the edges it should")
  func erdosRenyi() throws {
    let graph = try Topology.erdosRenyi(60, p: 0.3, seed: 5)
    #expect(try graph == .erdosRenyi(60, p: 0.3, seed: 5))
    #expect(try graph != .erdosRenyi(60, p: 0.3, seed: 6))
    #expect((900...1230).contains(graph.edgeCount))  // 1062 ± 3.1 deviations of 54.5
    #expect(try Topology.erdosRenyi(8, p: 1, seed: 0) == .complete(8))
    #expect(try Topology.erdosRenyi(8, p: 0, seed: 0).edgeCount == 0)
  }

  @Test("refuses an edge that is a loop, is listed twice or leaves the graph, and names it")
  func refusals() throws {
    #expect(throws: TopologyError.selfLoop(2)) { try Topology(nodes: 3, edges: [(0, 1), (2, 2)]) }
    #expect(throws: TopologyError.duplicateEdge(from: 0, to: 1)) {
      try Topology(nodes: 3, edges: [(0, 1), (1, 0)])
    }
    #expect(throws: TopologyError.nodeOutOfRange(from: 1, to: 3, nodes: 3)) {
      try Topology(nodes: 3, edges: [(1, 3)])
    }
    // In a directed graph the two are different edges.
    #expect(try Topology(nodes: 3, edges: [(0, 1), (1, 0)], directed: true).edgeCount == 2)
    for make in [
      { try Topology.ring(0) }, { try Topology.ring(4, k: 0) }, { try Topology.star(0) },
      { try Topology.torus(rows: 0, columns: 3) }, { try Topology.erdosRenyi(3, p: 1.5, seed: 0) },
      { try Topology.erdosRenyi(3, p: .nan, seed: 0) },
    ] as [() throws -> Topology] {
      #expect(throws: TopologyError.self) { try make() }
    }
  }

  @Test("reports its connected components, along the edges' directions")
  func components() throws {
    let two = try Topology(nodes: 5, edges: [(0, 3), (1, 4), (4, 2)])
    #expect(two.components == [[0, 3], [1, 2, 4]])
    #expect(!two.isConnected)
    let path = try Topology(nodes: 3, edges: [(0, 1), (1, 2)], directed: true)
    #expect(path.components == [[0], [1], [2]])
    let cycle = try Topology(nodes: 3, edges: [(0, 1), (1, 2), (2, 0)], directed: true)
    #expect(cycle.isConnected)
  }

  @Test("is written as one word on a command line")
  func words() throws {
    #expect(try Topology(parsing: "complete", nodes: 4) == .complete(4))
    #expect(try Topology(parsing: "ring", nodes: 6) == .ring(6))
    #expect(try Topology(parsing: "ring:k=2", nodes: 6) == .ring(6, k: 2))
    #expect(try Topology(parsing: "star", nodes: 6) == .star(6))
    #expect(try Topology(parsing: "torus:rows=2,columns=3") == .torus(rows: 2, columns: 3))
    #expect(
      try Topology(parsing: "erdos-renyi:p=0.5,seed=1", nodes: 9) == .erdosRenyi(9, p: 0.5, seed: 1)
    )
    for word in ["rong", "ring:q=2", "ring:k=x", "torus:rows=2", "erdosRenyi"] {
      #expect(throws: CatalogError.self, "\(word)") { try Topology(parsing: word, nodes: 6) }
    }
    #expect(throws: CatalogError.missingParameter("nodes")) { try Topology(parsing: "ring") }
    #expect(throws: TopologyError.self) {
      try Topology(parsing: "torus:rows=2,columns=3", nodes: 7)
    }
  }

  @Test("travels, and is checked on arrival")
  func travels() throws {
    for topology in Self.all {
      let bytes = try JSONEncoder().encode(topology)
      #expect(try JSONDecoder().decode(Topology.self, from: bytes) == topology)
    }
    for bytes in ["[[0]]", "[[1,1],[]]", "[[7]]", "[]"] {
      #expect(throws: TopologyError.self, "\(bytes)") {
        try JSONDecoder().decode(Topology.self, from: Data(bytes.utf8))
      }
    }
  }
}
