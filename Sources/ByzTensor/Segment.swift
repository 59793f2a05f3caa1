/// Raw bytes beside a message: a piece of some tensor's memory, sent from where it lies and received into memory of its own.
package struct Segment: Sendable {
  package let storage: TensorStorage
  package let offset: Int
  package let byteCount: Int

  package init(storage: TensorStorage, offset: Int, byteCount: Int) {
    precondition(offset >= 0 && byteCount >= 0 && offset + byteCount <= storage.byteCount)
    self.storage = storage
    self.offset = offset
    self.byteCount = byteCount
  }

  /// The bytes, while `body` runs.
  package func withUnsafeBytes<R, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> R
  ) throws(Failure) -> R {
    defer { withExtendedLifetime(storage) {} }
    return try body(UnsafeRawBufferPointer(start: storage.address + offset, count: byteCount))
  }
}

extension Tensor {
  /// The tensor's bytes, shared with it.
  package var segment: Segment {
    let size = MemoryLayout<Element>.stride
    return Segment(storage: storage, offset: offset * size, byteCount: count * size)
  }

  /// A tensor of the bytes of a segment, shared with it; copied when they are not aligned.
  ///
  /// - Throws: ``TensorError`` when shape and number of bytes do not agree.
  package init(shape: [Int], segment: Segment) throws(TensorError) {
    let size = MemoryLayout<Element>.stride
    let expected = try TensorError.checkedCount(of: shape)
    guard expected.multipliedReportingOverflow(by: size) == (segment.byteCount, false) else {
      throw .wrongCount(expected: expected, actual: segment.byteCount / size)
    }
    if segment.offset % size == 0 {
      self.init(shape: shape, storage: segment.storage, offset: segment.offset / size)
    } else {
      self.init(shape: shape) { _ in }
      withUnsafeMutableBufferPointer { elements in
        segment.withUnsafeBytes { UnsafeMutableRawBufferPointer(elements).copyMemory(from: $0) }
      }
    }
  }
}
