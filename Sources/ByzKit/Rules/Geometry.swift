/// The numbers that a rule measured about its n vectors.
///
/// Squares of `Double` end at 1.8e308, so a `Double` vector beyond about 1e154 counts as not finite, and differences below
/// about 1e-154 as zero; `Float` vectors have no such limits.
///
/// Which of them there are depends on the rule's ``Rule/measurement``; asking for others is a programming error.
public struct Geometry: Sendable {
  /// The number of vectors, counting an extra one that the rule asked for.
  public let n: Int
  /// What the vectors are made of, and so how exact the numbers are.
  public let elementType: ElementType
  private let kind: Kind
  private let values: [Double]

  /// What was measured, in one byte: rules ask for some ten thousand numbers, and each answer checks it.
  private enum Kind {
    case nothing, norms, distances, distancesTo, centredGram
  }

  package init(n: Int, elementType: ElementType, measurement: Measurement?, values: [Double]) {
    self.n = n
    self.elementType = elementType
    self.kind =
      switch measurement {
      case nil: .nothing
      case .norms: .norms
      case .distances: .distances
      case .distancesTo: .distancesTo
      case .centredGram: .centredGram
      }
    self.values = values
  }

  /// ‖xᵢ‖², of `Measurement/norms`; infinite for a vector that is not finite.
  public func squaredNorm(_ i: Int) -> Double {
    precondition(kind == .norms, "The rule did not measure norms.")
    return values[i].isFinite ? values[i] : .infinity
  }

  /// ‖xᵢ - xₖ‖², of `Measurement/distances`; infinite if one of the two is not finite, also for i = k.
  public func squaredDistance(_ i: Int, _ k: Int) -> Double {
    precondition(kind == .distances, "The rule did not measure distances.")
    return values[i * n + k]
  }

  /// ‖xᵢ - xₖ‖² for all i and k among `indices`, row-major; of `Measurement/distances`.
  func squaredDistances(among indices: [Int]) -> [Double] {
    precondition(kind == .distances, "The rule did not measure distances.")
    guard indices.count < n else { return values }
    return indices.flatMap { i in indices.map { values[i * n + $0] } }
  }

  /// ‖xᵢ - r‖² for the reference r of `Measurement/distancesTo(_:)`; infinite if one of the two is not finite.
  public func squaredDistance(to i: Int) -> Double {
    precondition(kind == .distancesTo, "The rule did not measure distances to one vector.")
    return values[i]
  }

  /// ⟨xᵢ - c, xₖ - c⟩ for the coordinate-wise median c, of `Measurement/centredGram`; NaN or infinite if one of the
  /// two is not finite.
  public func centredProduct(_ i: Int, _ k: Int) -> Double {
    precondition(kind == .centredGram, "The rule did not measure a centred Gram matrix.")
    return values[i * n + k]
  }

  /// Whether every coordinate of vector `i` is finite.
  public func isFinite(_ i: Int) -> Bool {
    switch kind {
    case .nothing: true
    case .norms, .distancesTo: values[i].isFinite
    case .distances, .centredGram: values[i * n + i].isFinite
    }
  }

  /// The indices of all finite vectors.
  public var finiteIndices: [Int] { (0..<n).filter(isFinite) }

  /// The indices of all finite vectors, of which at most `f` may be missing.
  ///
  /// - Throws: ``AggregationError/tooManyNonFinite(count:allowed:)``.
  public func finiteIndices(discardingAtMost f: Int) throws(AggregationError) -> [Int] {
    let finite = finiteIndices
    guard n - finite.count <= f else {
      throw .tooManyNonFinite(count: n - finite.count, allowed: f)
    }
    return finite
  }
}

extension Sequence where Element == Int {
  /// The `count` indices of smallest key, in the order of their keys; equal keys keep the lower index.
  package func lowest(_ count: Int, by key: (Int) -> Double) -> [Int] {
    map { (key($0), $0) }.sorted { $0 < $1 }.prefix(count).map(\.1)
  }
}

extension Range<Int> {
  /// The `count` numbers of smallest key, in ascending order; of equal keys the lower numbers. NaN counts as infinite. Takes time in proportion to the range,
  /// where sorting would take many times as long.
  package func lowestSet(_ count: Int, by key: (Int) -> Double) -> [Int] {
    guard count < self.count else { return Array(self) }
    guard count > 0 else { return [] }
    // What a faulty worker measured may be NaN.
    let keys = map { position in
      let key = key(position)
      return key.isNaN ? .infinity : key
    }
    let limit = keys.value(ofRank: count - 1)
    // Those at the limit that there is room for.
    var room = count
    for key in keys { room -= key < limit ? 1 : 0 }
    return [Int](unsafeUninitializedCapacity: self.count) { set, size in
      // Without branches: which come in is as good as random.
      for (position, key) in keys.enumerated() {
        let atLimit = key == limit ? 1 : 0
        set[size] = lowerBound + position
        size += key < limit ? 1 : (room > 0 ? atLimit : 0)
        room -= atLimit
      }
    }
  }
}

extension [Double] {
  /// The value that would be at a position if they were sorted. None of them is NaN; if one is, some value.
  ///
  /// Hoare's selection. Which numbers go below a pivot is as good as random, so it is done without branches; a part of numbers
  /// that are all equal is left in one step. Pivots come from places that no order of the numbers foresees, and are always the same.
  func value(ofRank rank: Int) -> Double {
    var copy = self
    return copy.withUnsafeMutableBufferPointer { values in
      var (low, high) = (0, values.count)
      var places: UInt64 = 0x9E37_79B9_7F4A_7C15
      func sample() -> Double {
        places = places &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return values[low + Int(places >> 33) % (high - low)]
      }
      while true {
        let (a, b, c) = (sample(), sample(), sample())
        let pivot = Swift.max(Swift.min(a, b), Swift.min(Swift.max(a, b), c))
        if pivot.isNaN { return pivot }
        let equal = values.movingForward(low..<high) { $0 < pivot }
        if rank < equal {
          high = equal
          continue
        }
        let above = values.movingForward(equal..<high) { $0 == pivot }
        if rank < above { return pivot }
        low = above
      }
    }
  }
}

extension UnsafeMutableBufferPointer<Double> {
  /// Moves the numbers of a part that belong below to its beginning; returns where the others begin.
  fileprivate func movingForward(_ part: Range<Int>, _ belongsBelow: (Double) -> Bool) -> Int {
    var end = part.lowerBound
    for position in part {
      let value = self[position]
      self[position] = self[end]
      self[end] = value
      end += belongsBelow(value) ? 1 : 0
    }
    return end
  }
}
