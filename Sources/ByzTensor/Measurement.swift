/// What a rule asks about its rows before it decides: one pass over the data, and a few numbers per row or pair.
public enum Measurement: Hashable, Codable, Sendable {
  /// ‖xᵢ‖² of every row.
  case norms
  /// ‖xᵢ - xₖ‖² of every pair, by subtracting: exact to rounding also for rows that share a large offset.
  case distances
  /// ‖xᵢ - r‖² of every row, where r is the row of this index.
  case distancesTo(Int)
  /// ⟨xᵢ - c, xₖ - c⟩ of every pair, where c is the coordinate-wise median.
  case centredGram

  /// How many numbers it yields for n rows.
  package func count(n: Int) -> Int {
    switch self {
    case .norms, .distancesTo: n
    case .distances, .centredGram: n * n
    }
  }

  /// Whether its pass goes over all rows at once, and not over one after another.
  var readsRowsAtOnce: Bool {
    switch self {
    case .norms, .distancesTo: false
    case .distances, .centredGram: true
    }
  }
}
