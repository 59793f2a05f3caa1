/// The rows a rule reads: n pointers to d numbers each, and what keeps them alive. Nothing is stacked or copied.
///
/// `@unchecked Sendable`: the pointers are only read through, and `owners` keeps the memory in place. `Tensor` never writes to
/// memory that anyone else holds, so the bytes do not change either.
package struct Rows: @unchecked Sendable {
  package let elementType: ElementType
  /// d: the length of each row.
  package let columns: Int
  /// One per row; nil stands for a row of zeros.
  package let pointers: [UnsafeRawPointer?]
  let owners: [TensorStorage]

  /// n: the number of rows.
  package var count: Int { pointers.count }

  package init<Element: TensorElement>(_ tensors: [Tensor<Element>]) throws(TensorError) {
    guard let first = tensors.first, first.count > 0 else {
      throw .invalidShape(tensors.first?.shape ?? [0])
    }
    // One plain loop: this is not specialized for its callers, where closures and key paths cost as much as a small rule.
    var pointers: [UnsafeRawPointer?] = []
    var owners: [TensorStorage] = []
    pointers.reserveCapacity(tensors.count)
    owners.reserveCapacity(tensors.count)
    for row in tensors.indices {
      let tensor = tensors[row]
      guard tensor.shape == first.shape else {
        throw .shapesDiffer(first.shape, tensor.shape, row: row)
      }
      pointers.append(UnsafeRawPointer(tensor.address))
      owners.append(tensor.storage)
    }
    self.init(
      elementType: Element.elementType, columns: first.count, pointers: pointers, owners: owners)
  }

  init(
    elementType: ElementType, columns: Int, pointers: [UnsafeRawPointer?], owners: [TensorStorage]
  ) {
    self.elementType = elementType
    self.columns = columns
    self.pointers = pointers
    self.owners = owners
  }

  /// The chosen rows, in the given order.
  package func selecting(_ indices: [Int]) -> Rows {
    Rows(
      elementType: elementType, columns: columns, pointers: indices.map { pointers[$0] },
      owners: owners)
  }

  /// The same rows and one more: `other`'s first, or zeros.
  package func appending(_ other: Rows?) -> Rows {
    Rows(
      elementType: elementType, columns: columns, pointers: pointers + [other?.pointers[0] ?? nil],
      owners: owners + (other?.owners ?? []))
  }

  /// The same rows and the single row of `output`, as far as it has been written.
  package func appending(_ output: OutputRows) -> Rows {
    Rows(
      elementType: elementType, columns: columns,
      pointers: pointers + [output.pointers[0].map { UnsafeRawPointer($0) }],
      owners: owners + output.owners)
  }
}

/// The rows a rule writes. Several workers may write at once, each its own columns.
///
/// `@unchecked Sendable`: callers hand every range of columns to one writer only, and read after all have finished.
package struct OutputRows: @unchecked Sendable {
  package let elementType: ElementType
  package let columns: Int
  package let pointers: [UnsafeMutableRawPointer?]
  let owners: [TensorStorage]

  init(
    elementType: ElementType, columns: Int, pointers: [UnsafeMutableRawPointer?],
    owners: [TensorStorage]
  ) {
    self.elementType = elementType
    self.columns = columns
    self.pointers = pointers
    self.owners = owners
  }

  /// Rows that are written through; the tensors must be uniquely owned by the caller until the work is done.
  package init<Element: TensorElement>(_ tensors: inout [Tensor<Element>]) {
    elementType = Element.elementType
    columns = tensors.first?.count ?? 0
    var pointers: [UnsafeMutableRawPointer?] = []
    var owners: [TensorStorage] = []
    pointers.reserveCapacity(tensors.count)
    owners.reserveCapacity(tensors.count)
    for i in tensors.indices {
      tensors[i].makeUnique()
      pointers.append(UnsafeMutableRawPointer(tensors[i].address))
      owners.append(tensors[i].storage)
    }
    (self.pointers, self.owners) = (pointers, owners)
  }

  /// Some of the rows.
  package func selecting(_ range: Range<Int>) -> OutputRows {
    OutputRows(
      elementType: elementType, columns: columns, pointers: Array(pointers[range]),
      owners: owners.count == pointers.count ? Array(owners[range]) : owners)
  }

  /// Has `write` write these columns: where they are, or if they are a file's, piece after piece in a buffer. It is told which
  /// columns, and whether the rows it is given are the buffer's; only those columns of them may be touched.
  package func fill(
    columns range: Range<Int>,
    _ write: (_ out: OutputRows, _ columns: Range<Int>, _ isBuffered: Bool) -> Void
  ) {
    let files = owners.map(\.file)
    let size = elementType.byteCount
    let page = 4096
    // Few bytes are not worth it, and of more than a thousand rows the pages would take more memory than caches have.
    guard !files.contains(where: { $0 == nil }), files.count == pointers.count,
      !pointers.contains(nil), pointers.count * range.count * size >= 256 << 10,
      pointers.count * page <= 4 << 20
    else { return write(self, range, false) }
    // A MiB, in whole pages of each row.
    let length = min(range.count, max(1, (1 << 20) / (pointers.count * page)) * page / size)
    let buffer = TensorStorage(byteCount: pointers.count * length * size)
    for begin in stride(from: range.lowerBound, to: range.upperBound, by: length) {
      let piece = begin..<min(begin + length, range.upperBound)
      let places = pointers.indices.map { buffer.address + $0 * length * size }
      write(
        OutputRows(
          elementType: elementType, columns: columns, pointers: places.map { $0 - begin * size },
          owners: [buffer]),
        piece, true)
      for row in pointers.indices {
        guard let file = files[row], let place = pointers[row] else { continue }
        file.write(
          UnsafeRawBufferPointer(start: places[row], count: piece.count * size),
          at: place + begin * size)
      }
    }
    withExtendedLifetime(self) {}
  }

  /// Writes `value` to these columns of every row.
  package func fill(_ value: Double, columns range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= columns)
    for case let row? in pointers {
      switch elementType {
      case .float32:
        (row.assumingMemoryBound(to: Float.self) + range.lowerBound)
          .update(repeating: Float(value), count: range.count)
      case .float64:
        (row.assumingMemoryBound(to: Double.self) + range.lowerBound)
          .update(repeating: value, count: range.count)
      }
    }
    withExtendedLifetime(self) {}
  }

  /// Writes a whole row.
  package func copy<Element: TensorElement>(_ tensor: Tensor<Element>, toRow index: Int) {
    precondition(Element.elementType == elementType && tensor.count == columns)
    tensor.withUnsafeBufferPointer { source in
      pointers[index]?.copyMemory(
        from: UnsafeRawPointer(tensor.address),
        byteCount: source.count * MemoryLayout<Element>.stride)
    }
    withExtendedLifetime(self) {}
  }
}
