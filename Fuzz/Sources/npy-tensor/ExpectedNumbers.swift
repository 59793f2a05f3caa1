import ByzKit

extension NpyHeader {
  /// The numbers of a file in row-major order, each found by division: another way than the
  /// reader's.
  func numbers(in bytes: UnsafeRawBufferPointer) -> [Double] {
    (0..<dataByteCount / element.byteCount).map { i in
      let position = dataOffset + positionInFile(i) * element.byteCount
      switch element {
      case .float16:
        return Double(
          Float16(bitPattern: bytes.loadUnaligned(fromByteOffset: position, as: UInt16.self)))
      case .float32:
        return Double(
          Float(bitPattern: bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self)))
      case .float64:
        return Double(
          bitPattern: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
      }
    }
  }

  /// Where the `i`-th number in row-major order lies among the numbers of the file.
  private func positionInFile(_ i: Int) -> Int {
    if !fortranOrder { return i }
    var (rest, position) = (i, 0)
    for (axis, extent) in shape.enumerated().reversed() {
      position += rest % extent * shape[..<axis].reduce(1, *)
      rest /= extent
    }
    return position
  }
}

extension AnyTensor {
  /// The elements as doubles, which hold every `Float` exactly.
  var numbers: [Double] {
    switch self {
    case .float32(let tensor): tensor.elements.map(Double.init)
    case .float64(let tensor): tensor.elements
    }
  }
}

/// Whether numbers have the same bits; one NaN is as good as another.
func areSame(_ a: [Double], _ b: [Double]) -> Bool {
  a.count == b.count
    && zip(a, b).allSatisfy { $0.bitPattern == $1.bitPattern || $0.isNaN && $1.isNaN }
}
