/// Takes tensors' bytes beside what an encoder writes, and gives them back to a decoder.
///
/// An encoder or decoder that has one of these in its `userInfo`, under ``key``, moves tensors' bytes as segments; with any other, a
/// tensor is encoded as numbers.
package final class TensorSegments {
  /// Where an encoder's or decoder's `userInfo` holds the segments.
  // Nonnull: only documented to fail for names that are reserved, of which there are none.
  package static let key = CodingUserInfoKey(rawValue: "ByzKit.tensorSegments")!

  /// The segments in the order in which the encoded values refer to them.
  package private(set) var list: [Segment]

  /// Starts with segments that are there already.
  package init(_ list: [Segment] = []) { self.list = list }

  /// Adds a segment and returns its position.
  package func append(_ segment: Segment) -> Int {
    list.append(segment)
    return list.count - 1
  }
}
