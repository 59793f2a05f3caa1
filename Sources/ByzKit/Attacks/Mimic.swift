/// Copies one honest worker, which over-represents its data.
///
/// ```
/// out = x_index
/// ```
///
/// - Parameters: `0 ≤ index < n`.
/// - Sees: the honest gradients.
///
/// Source: Karimireddy, He, Jaggi, *Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing*, ICLR 2022: the variant with a
/// fixed victim.
public struct Mimic: OmniscientAttack {
  /// The index of the worker that is copied.
  public let index: Int

  /// Copies honest worker number `index`.
  public init(index: Int = 0) { self.index = index }

  /// Requires 0 ≤ index < n.
  public func validate(n: Int) throws(AggregationError) {
    try require(n: n, .any)
    try require((0..<n).contains(index), "index", index, "in 0..<\(n)")
  }

  /// Weight 1 for the worker that is copied.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination {
    .mean(of: [index], n: geometry.n)
  }
}

/// Sends infinity in every coordinate.
///
/// ```
/// out_j = +∞
/// ```
///
/// - Sees: the honest gradients, of which it uses the shape only.
public struct Infinity: OmniscientAttack {
  /// Sends infinity.
  public init() {}

  /// Requires one honest gradient, for its shape.
  public func validate(n: Int) throws(AggregationError) { try require(n: n, .any) }

  /// Infinity.
  public func decide(_ geometry: Geometry) throws(AggregationError) -> Combination { .infinity }
}
