/// Why a tensor could not be made.
public enum TensorError: Error, Hashable, Codable, Sendable {
  /// A shape has a negative extent, more than 64 of them, no elements where some are needed, or a product that does not fit in memory.
  case invalidShape([Int])
  /// A shape asks for another number of elements than were given.
  case wrongCount(expected: Int, actual: Int)
  /// Two tensors that must have one shape do not; `row` is the position of the second.
  case shapesDiffer([Int], [Int], row: Int)

  /// The product of `shape`, which must fit in memory even without its zeros.
  package static func checkedCount(of shape: [Int]) throws(TensorError) -> Int {
    guard shape.count <= 64 else { throw .invalidShape(Array(shape.prefix(64))) }
    // A 0 does not excuse the other extents: whoever multiplies some of them must not overflow.
    var count = 1
    for extent in shape where extent != 0 {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent > 0, !overflow, product <= Int.max / 16 else { throw .invalidShape(shape) }
      count = product
    }
    return shape.contains(0) ? 0 : count
  }
}

extension TensorError: CustomStringConvertible {
  /// What is wrong, with the numbers to change.
  public var description: String {
    switch self {
    case .invalidShape(let shape): "Shape \(shape) is not possible here."
    case .wrongCount(let expected, let actual):
      "The shape asks for \(expected) elements, but there are \(actual)."
    case .shapesDiffer(let first, let other, let row):
      "All tensors must have one shape: number 0 has \(first), number \(row) has \(other)."
    }
  }
}
