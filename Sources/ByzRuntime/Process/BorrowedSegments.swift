internal import ByzTensor

/// What the writing thread of a link waits for. Nothing in it has a destructor of its own, so it can be changed from any.
struct WriterBell: Sendable {
  /// Whether the socket took no more, so the thread is to go on with what is queued.
  var isBlocked = false
  /// What the other side gets back.
  var released: [UInt64] = []
  /// Whether the reading thread delivers messages just now: it gives back what is released meanwhile, without waking another thread.
  var isDelivering = false
  var isClosed = false
}

/// The other side's shared memory, as its messages refer to it. Each segment is given back when the last tensor lets go of it.
struct BorrowedSegments: SharedSegments {
  let memory: MappedArena
  let bell: Monitor<WriterBell>

  func segment(offset: UInt64, byteCount: Int) throws(RuntimeError) -> Segment {
    guard memory.contains(offset: offset, byteCount: byteCount) else {
      throw .malformed(
        """
        A segment of \(byteCount) bytes at \(offset) is not within the \(memory.byteCount) bytes \
        of shared memory.
        """)
    }
    // The storage begins at a cache line, from which the segment's alignment can be told.
    let start = Int(offset)
    let shift = start % ArenaState.alignment
    let storage = TensorStorage(
      lent: memory.address + (start - shift), byteCount: shift + byteCount, isWritable: false,
      owner: BorrowedSegment(memory: memory, offset: offset, bell: bell))
    return Segment(storage: storage, offset: shift, byteCount: byteCount)
  }
}

/// One loan: keeps the mapping, and reports when it is no longer needed.
private final class BorrowedSegment: Sendable {
  private let memory: MappedArena
  private let offset: UInt64
  private let bell: Monitor<WriterBell>

  init(memory: MappedArena, offset: UInt64, bell: Monitor<WriterBell>) {
    self.memory = memory
    self.offset = offset
    self.bell = bell
  }

  /// Only leaves a note: a destructor runs anywhere, under any lock.
  deinit {
    let isFirst = bell.withLock { bell in
      guard !bell.isClosed else { return false }
      bell.released.append(offset)
      return bell.released.count == 1 && !bell.isDelivering
    }
    if isFirst { bell.signal() }
  }
}
