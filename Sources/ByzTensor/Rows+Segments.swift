// Rows that travel: each row's columns as a segment, and rows made of what arrived.

extension Rows {
  /// These columns of each row, from where they lie; nil for a row of zeros.
  package func segments(columns range: Range<Int>) -> [Segment?] {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    let size = elementType.byteCount
    return pointers.indices.map { row in
      guard let pointer = pointers[row] else { return nil }
      let start = pointer + range.lowerBound * size
      guard let owner = owner(of: pointer, row: row) else {
        preconditionFailure("A row lies in memory that nobody owns.")
      }
      return Segment(
        storage: owner, offset: start - UnsafeRawPointer(owner.address),
        byteCount: range.count * size)
    }
  }

  private func owner(of pointer: UnsafeRawPointer, row: Int) -> TensorStorage? {
    func holds(_ storage: TensorStorage) -> Bool {
      let offset = pointer - UnsafeRawPointer(storage.address)
      return offset >= 0 && offset < max(1, storage.byteCount)
    }
    // Where it is unless rows were chosen among others.
    if row < owners.count, holds(owners[row]) { return owners[row] }
    return owners.first(where: holds)
  }

  /// Rows of what arrived, in the order of the rows; nil stands for a row of zeros.
  ///
  /// - Throws: ``TensorError`` when a segment is not `columns` numbers at an address fit for them.
  package init(
    elementType: ElementType, columns: Int, segments: [Segment?]
  ) throws(TensorError) {
    let size = elementType.byteCount
    let (byteCount, overflow) = columns.multipliedReportingOverflow(by: size)
    guard columns > 0, !overflow else { throw .invalidShape([columns]) }
    for case let segment? in segments {
      guard segment.byteCount == byteCount, segment.offset % size == 0 else {
        throw .wrongCount(expected: columns, actual: segment.byteCount / size)
      }
    }
    self.init(
      elementType: elementType, columns: columns,
      pointers: segments.map { $0.map { UnsafeRawPointer($0.storage.address + $0.offset) } },
      owners: segments.compactMap { $0?.storage })
  }
}

extension OutputRows {
  /// New memory for some of `count` rows; the others cannot be written.
  ///
  /// - Parameter makeStorage: where so many bytes come from.
  package init(
    elementType: ElementType, columns: Int, count: Int, rows: Range<Int>,
    makeStorage: (Int) -> TensorStorage = TensorStorage.init(byteCount:)
  ) {
    precondition(rows.lowerBound >= 0 && rows.upperBound <= count && columns >= 0)
    let size = elementType.byteCount * columns
    let storage = makeStorage(size * rows.count)
    var pointers = [UnsafeMutableRawPointer?](repeating: nil, count: count)
    for (position, row) in rows.enumerated() {
      pointers[row] = storage.address + position * size
    }
    self.init(
      elementType: elementType, columns: columns, pointers: pointers, owners: [storage])
  }

  /// The memory of rows made by ``init(elementType:columns:count:rows:makeStorage:)``, one segment for each row there is.
  package var segments: [Segment] {
    let size = elementType.byteCount * columns
    let storage = owners[0]
    return pointers.compactMap { pointer in
      pointer.map { Segment(storage: storage, offset: $0 - storage.address, byteCount: size) }
    }
  }

  /// Writes what arrived for these columns of one row.
  ///
  /// - Throws: ``TensorError/wrongCount(expected:actual:)`` when it is not as many numbers.
  package func copy(
    _ segment: Segment, toRow row: Int, columns range: Range<Int>
  ) throws(TensorError) {
    let size = elementType.byteCount
    guard segment.byteCount == range.count * size else {
      throw .wrongCount(expected: range.count, actual: segment.byteCount / size)
    }
    guard let pointer = pointers[row], range.lowerBound >= 0, range.upperBound <= columns else {
      throw .wrongCount(expected: columns, actual: range.upperBound)
    }
    segment.withUnsafeBytes { bytes in
      if let start = bytes.baseAddress {
        (pointer + range.lowerBound * size).copyMemory(from: start, byteCount: bytes.count)
      }
    }
    withExtendedLifetime(self) {}
  }
}
