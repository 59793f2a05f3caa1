extension Topology {
  /// A topology as one word of a command line.
  ///
  /// | word | topology |
  /// |---|---|
  /// | `complete` | ``complete(_:)`` |
  /// | `ring`, `ring:k=2` | ``ring(_:k:)`` |
  /// | `star` | ``star(_:)`` |
  /// | `torus:rows=2,columns=3` | ``torus(rows:columns:)`` |
  /// | `erdosRenyi:p=0.5,seed=1` | ``erdosRenyi(_:p:seed:)``, seed 0 if it is left out |
  ///
  /// - Parameters:
  ///   - text: the word; case, hyphens and underscores of the name do not matter.
  ///   - nodes: n. A torus knows it already, and refuses another.
  /// - Throws: ``CatalogError`` for a name or parameter that is not in the table, ``TopologyError``
  ///   for a number out of its range.
  public init(parsing text: String, nodes: Int? = nil) throws {
    let specification = try RuleSpecification(text)
    self = try Catalog.topology(specification.name).make(specification.parameters)(nodes)
  }
}

extension Catalog {
  /// Makes a topology once the number of nodes is known.
  public typealias TopologyMaker = @Sendable (_ nodes: Int?) throws -> Topology

  /// All topologies, in the order of the documentation.
  public static let topologies: [CatalogEntry<TopologyMaker>] = [
    entry("complete", "everyone sends to everyone", cost: "n(n - 1) messages") { _ in
      { nodes in try .complete(require(nodes)) }
    },
    entry(
      "ring", "the k nearest on either side", [ParameterInfo("k", "≥ 1", default: "1")],
      cost: "2kn messages"
    ) { p throws(CatalogError) in
      let k = try p.integer("k", default: 1)
      return { nodes in try .ring(require(nodes), k: k) }
    },
    entry("star", "node 0 and everyone else", cost: "2(n - 1) messages") { _ in
      { nodes in try .star(require(nodes)) }
    },
    entry(
      "torus", "a grid that wraps around",
      [ParameterInfo("rows", "≥ 1"), ParameterInfo("columns", "≥ 1, rows × columns = n")],
      cost: "4n messages"
    ) { p throws(CatalogError) in
      let (rows, columns) = (try p.integer("rows"), try p.integer("columns"))
      return { nodes in
        let (product, overflow) = rows.multipliedReportingOverflow(by: columns)
        let n = nodes ?? product
        // Before there are as many nodes.
        try TopologyError.require(
          n == product && !overflow, "nodes", n, "rows × columns, \(rows) × \(columns)")
        return try Topology.torus(rows: rows, columns: columns)
      }
    },
    entry(
      "erdosRenyi", "each edge with probability p",
      [ParameterInfo("p", "0 ≤ p ≤ 1"), ParameterInfo("seed", "any", default: "0")],
      cost: "pn(n - 1) messages expected"
    ) { p throws(CatalogError) in
      let probability = try p.number("p")
      let seed = UInt64(bitPattern: Int64(try p.integer("seed", default: 0)))
      return { nodes in try .erdosRenyi(require(nodes), p: probability, seed: seed) }
    },
  ]

  private static func entry(
    _ name: String, _ summary: String, _ parameters: [ParameterInfo] = [], cost: String,
    make: @escaping @Sendable (Parameters) throws(CatalogError) -> TopologyMaker
  ) -> CatalogEntry<TopologyMaker> {
    CatalogEntry(name, summary, parameters, tolerates: "", paper: "", cost: cost, make: make)
  }

  private static func require(_ nodes: Int?) throws(CatalogError) -> Int {
    guard let nodes else { throw .missingParameter("nodes") }
    return nodes
  }
}
