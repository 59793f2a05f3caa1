/// An input, taken from its beginning; 0 when nothing is left.
public struct Bytes {
  private var rest: Slice<UnsafeRawBufferPointer>

  public init(_ input: UnsafeRawBufferPointer) { rest = input[...] }

  public var isEmpty: Bool { rest.isEmpty }

  public mutating func next() -> UInt8 { rest.popFirst() ?? 0 }

  /// Eight bytes, the lowest first.
  public mutating func number() -> UInt64 {
    (0..<8).reduce(0) { number, index in number | UInt64(next()) << (8 * UInt64(index)) }
  }

  /// Fills what there is room for with what there is.
  public mutating func copy(to room: UnsafeMutableRawBufferPointer) {
    let piece = rest.prefix(room.count)
    room.copyBytes(from: piece)
    rest = rest.dropFirst(piece.count)
  }
}
