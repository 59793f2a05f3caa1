import CByzKernels

extension Rows {
  /// The number of columns in one block of a measurement: ranges start at its multiples.
  package static var blockColumns: Int { Int(BYZ_BLOCK) }

  /// The part of a measurement that these columns contribute: n numbers, or an n×n matrix, row-major.
  ///
  /// Rows from `centred` on do not take part in the median that centres a Gram matrix. The sums of `part` columns each are added
  /// in order.
  package func measure(
    _ measurement: Measurement, columns range: Range<Int>, inPartsOf part: Int? = nil,
    centredOn centred: Int? = nil
  ) -> [Double] {
    let size = measurement.count(n: count)
    return [Double](unsafeUninitializedCapacity: size) { out, initialized in
      measure(
        measurement, columns: range, inPartsOf: part, areApart: false, centredOn: centred,
        into: out.baseAddress!)
      initialized = size
    }
  }

  /// What each `part` columns of the range contribute, one row for each; the last part may be shorter.
  package func measureParts(
    _ measurement: Measurement, columns range: Range<Int>, of part: Int, centredOn centred: Int
  ) throws(TensorError) -> Tensor<Double> {
    precondition(part > 0 && !range.isEmpty)
    let size = measurement.count(n: count)
    let parts = (range.count - 1) / part + 1
    let storage = TensorStorage(byteCount: parts * size * MemoryLayout<Double>.stride)
    measure(
      measurement, columns: range, inPartsOf: part, areApart: true, centredOn: centred,
      into: storage.address.bindMemory(to: Double.self, capacity: parts * size))
    return try Tensor(
      shape: [parts, size],
      segment: Segment(storage: storage, offset: 0, byteCount: storage.byteCount))
  }

  private func measure(
    _ measurement: Measurement, columns range: Range<Int>, inPartsOf part: Int?,
    areApart: Bool, centredOn centred: Int?, into out: UnsafeMutablePointer<Double>
  ) {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    precondition(range.lowerBound % Self.blockColumns == 0)
    precondition(
      measurement == .centredGram || !pointers.contains(nil),
      "Only a centred Gram matrix takes a row of zeros")
    // All columns in one part.
    let part = part ?? (range.upperBound / Self.blockColumns + 1) * Self.blockColumns
    precondition(part > 0 && part % Self.blockColumns == 0)
    let size = measurement.count(n: count)
    let read = measurement.readsRowsAtOnce ? self : nil
    readingAhead(columns: range, inMultiplesOf: part, of: read) { piece in
      let partsBefore = (piece.lowerBound - range.lowerBound) / part
      guard piece != range, !areApart else {
        return measurePiece(
          measurement, columns: piece, inPartsOf: part, areApart: areApart, centredOn: centred,
          into: out + partsBefore * size)
      }
      withUnsafeTemporaryAllocation(of: Double.self, capacity: size) { sums in
        // In the order of the parts, as without pieces.
        for start in stride(from: piece.lowerBound, to: piece.upperBound, by: part) {
          measurePiece(
            measurement, columns: start..<min(start + part, piece.upperBound), inPartsOf: part,
            areApart: true, centredOn: centred, into: sums.baseAddress!)
          let isFirst = start == range.lowerBound
          for i in 0..<size { out[i] = isFirst ? sums[i] : out[i] + sums[i] }
        }
      }
    }
  }

  private func measurePiece(
    _ measurement: Measurement, columns range: Range<Int>, inPartsOf part: Int, areApart: Bool,
    centredOn centred: Int?, into out: UnsafeMutablePointer<Double>
  ) {
    defer { withExtendedLifetime(self) {} }
    pointers.withUnsafeBufferPointer { rows in
      let (type, base) = (elementType.kernelType, rows.baseAddress!)
      let (begin, end) = (range.lowerBound, range.upperBound)
      switch measurement {
      case .norms: byz_squared_norms(type, base, count, part, areApart, begin, end, out)
      case .distancesTo(let reference):
        precondition(reference >= 0 && reference < count)
        byz_squared_distances_to(type, base, count, reference, part, areApart, begin, end, out)
      case .distances: byz_squared_distances(type, base, count, part, areApart, begin, end, out)
      case .centredGram:
        byz_centred_gram(type, base, centred ?? count, count, part, areApart, begin, end, out)
      }
    }
  }
}
