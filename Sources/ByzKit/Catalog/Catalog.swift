/// Every aggregator, pre-aggregator and attack, by name: what `byzkit list` prints.
public enum Catalog {
  /// Finds an aggregator; case, hyphens and underscores do not matter.
  ///
  /// - Throws: ``CatalogError/unknownName(_:kind:nearest:)``.
  public static func aggregator(_ name: String) throws(CatalogError) -> CatalogEntry<any Aggregator>
  {
    try find(name, in: aggregators, kind: "aggregator")
  }

  /// Finds a pre-aggregator; case, hyphens and underscores do not matter.
  ///
  /// - Throws: ``CatalogError/unknownName(_:kind:nearest:)``.
  public static func preAggregator(_ name: String) throws(CatalogError) -> CatalogEntry<
    any PreAggregator
  > {
    try find(name, in: preAggregators, kind: "pre-aggregator")
  }

  /// Finds an attack; case, hyphens and underscores do not matter.
  ///
  /// - Throws: ``CatalogError/unknownName(_:kind:nearest:)``.
  public static func attack(_ name: String) throws(CatalogError) -> CatalogEntry<any Attack> {
    try find(name, in: attacks, kind: "attack")
  }

  /// Finds a topology; case, hyphens and underscores do not matter.
  ///
  /// - Throws: ``CatalogError/unknownName(_:kind:nearest:)``.
  public static func topology(_ name: String) throws(CatalogError) -> CatalogEntry<TopologyMaker> {
    try find(name, in: topologies, kind: "topology")
  }

  private static func find<Product>(
    _ name: String, in entries: [CatalogEntry<Product>], kind: String
  ) throws(CatalogError) -> CatalogEntry<Product> {
    let wanted = letters(name)
    if let entry = entries.first(where: { letters($0.name) == wanted }) { return entry }
    let nearest = entries.map(\.name).min {
      editDistance(letters($0), wanted) < editDistance(letters($1), wanted)
    }
    throw .unknownName(name, kind: kind, nearest: nearest ?? "")
  }

  private static func letters(_ name: String) -> [Character] {
    name.lowercased().filter { $0 != "-" && $0 != "_" && $0 != " " }.prefix(64).map { $0 }
  }

  /// The fewest letters to insert, delete, replace or exchange with the next.
  private static func editDistance(_ a: [Character], _ b: [Character]) -> Int {
    var (before, last) = ([Int](), Array(0...b.count))
    for (i, x) in a.enumerated() {
      var row = [i + 1]
      for (k, y) in b.enumerated() {
        var cost = min(last[k] + (x == y ? 0 : 1), last[k + 1] + 1, row[k] + 1)
        if i > 0, k > 0, x == b[k - 1], y == a[i - 1] { cost = min(cost, before[k - 1] + 1) }
        row.append(cost)
      }
      (before, last) = (last, row)
    }
    return last[b.count]
  }
}
