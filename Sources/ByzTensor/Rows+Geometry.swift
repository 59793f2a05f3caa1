import CByzKernels

extension Rows {
  /// The number of columns in one block of a measurement: ranges start at its multiples.
  package static var blockColumns: Int { Int(BYZ_BLOCK) }

  /// The part of a measurement that these columns contribute: n numbers, or an n×n matrix, row-major.
  ///
  /// Rows from `centred` on do not take part in the median that centres a Gram matrix. Of a measurement of single rows
  /// (``Measurement/isOfSingleRows``) the sums of `part` columns each are added in order.
  package func measure(
    _ measurement: Measurement, columns range: Range<Int>, inPartsOf part: Int? = nil,
    centredOn centred: Int? = nil
  ) -> [Double] {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    precondition(range.lowerBound % Self.blockColumns == 0)
    precondition(
      measurement == .centredGram || !pointers.contains(nil),
      "Only a centred Gram matrix takes a row of zeros")
    defer { withExtendedLifetime(self) {} }
    return pointers.withUnsafeBufferPointer { rows in
      let (type, base) = (elementType.kernelType, rows.baseAddress!)
      let (begin, end) = (range.lowerBound, range.upperBound)
      let size = measurement.count(n: count)
      // All columns in one part.
      let part = part ?? (end / Self.blockColumns + 1) * Self.blockColumns
      precondition(part > 0 && part % Self.blockColumns == 0)
      return [Double](unsafeUninitializedCapacity: size) { out, initialized in
        let out = out.baseAddress!
        switch measurement {
        case .norms: byz_squared_norms(type, base, count, part, begin, end, out)
        case .distancesTo(let reference):
          precondition(reference >= 0 && reference < count)
          byz_squared_distances_to(type, base, count, reference, part, begin, end, out)
        case .distances: byz_squared_distances(type, base, count, begin, end, out)
        case .centredGram:
          byz_centred_gram(type, base, centred ?? count, count, begin, end, out)
        }
        initialized = size
      }
    }
  }
}
