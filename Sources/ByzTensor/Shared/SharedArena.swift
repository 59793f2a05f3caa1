import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Memory of this process that child processes, or its parent, can read: one mapping, in which tensors are blocks.
///
/// It is as large as half of the machine's memory, in addresses; pages that no tensor has used cost nothing. A block goes back
/// when its storage goes, and up to 256 MiB of what is free keep their pages, so that the next tensor causes no page faults.
///
/// `@unchecked Sendable`: `state` is only touched under the mutex; the rest is constant. A block's bytes belong to its storage.
package final class SharedArena: @unchecked Sendable {
  package static let warmLimit = 256 << 20

  /// For child processes to inherit; owned by this object.
  package let fileDescriptor: CInt
  private let mapping: MappedArena
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private var state: ArenaState

  /// New memory. By default half as much as the machine has.
  ///
  /// - Throws: ``SharedMemoryError/unavailable(reason:)``.
  package convenience init(
    byteCount: Int = defaultByteCount, warmLimit: Int = warmLimit
  ) throws(SharedMemoryError) {
    let fileDescriptor = try Self.makeMemory(byteCount: byteCount)
    try self.init(adopting: fileDescriptor, warmLimit: warmLimit)
  }

  /// The memory of a descriptor, in which nothing lies yet and no one else allocates. The descriptor belongs to this object, or is
  /// closed.
  ///
  /// - Throws: ``SharedMemoryError/unavailable(reason:)``.
  package init(
    adopting fileDescriptor: CInt, warmLimit: Int = warmLimit
  ) throws(SharedMemoryError) {
    do {
      mapping = try MappedArena(fileDescriptor: fileDescriptor, isWritable: true)
    } catch {
      byz_close(fileDescriptor)
      throw error
    }
    self.fileDescriptor = fileDescriptor
    mutex = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    state = ArenaState(byteCount: mapping.byteCount, warmLimit: warmLimit)
  }

  deinit {
    byz_close(fileDescriptor)
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// Half of the machine's memory; 1 GiB when that cannot be told.
  package static var defaultByteCount: Int {
    max(Int(byz_physical_memory() / 2), 1 << 30) / (2 << 20) * (2 << 20)
  }

  /// A descriptor of new memory, for this process or for a child to allocate in.
  ///
  /// - Throws: ``SharedMemoryError/unavailable(reason:)``.
  package static func makeMemory(
    byteCount: Int = defaultByteCount
  ) throws(SharedMemoryError) -> CInt {
    let fileDescriptor = byz_memory_create("byzkit", byteCount)
    guard fileDescriptor >= 0 else { throw .unavailable(errorNumber: -fileDescriptor) }
    return fileDescriptor
  }

  /// The size of the arena.
  package var byteCount: Int { mapping.byteCount }
  /// How much of it belongs to blocks.
  package var usedByteCount: Int { withState { $0.usedByteCount } }

  /// Uninitialised memory in the arena, aligned to a cache line.
  ///
  /// - Throws: ``SharedMemoryError/full(byteCount:capacity:)``.
  package func storage(byteCount: Int) throws(SharedMemoryError) -> TensorStorage {
    guard let start = withState({ $0.allocate(byteCount) }) else {
      throw .full(byteCount: byteCount, capacity: mapping.byteCount)
    }
    return TensorStorage(
      lent: mapping.address + start, byteCount: byteCount, isWritable: true,
      owner: ArenaBlock(arena: self, start: start))
  }

  /// A copy of a segment in the arena.
  ///
  /// - Throws: ``SharedMemoryError/full(byteCount:capacity:)``.
  package func copy(of segment: Segment) throws(SharedMemoryError) -> Segment {
    let storage = try storage(byteCount: segment.byteCount)
    segment.withUnsafeBytes { bytes in
      if let start = bytes.baseAddress {
        storage.address.copyMemory(from: start, byteCount: bytes.count)
      }
    }
    return Segment(storage: storage, offset: 0, byteCount: segment.byteCount)
  }

  /// Where a segment lies in the arena, in bytes from its beginning; nil when it lies elsewhere.
  package func place(of segment: Segment) -> UInt64? {
    let start = segment.storage.address + segment.offset
    let end = mapping.address + mapping.byteCount
    guard start >= mapping.address, start < end else { return nil }
    return UInt64(start - mapping.address)
  }

  fileprivate func giveBack(_ start: Int) {
    guard let range = withState({ $0.deallocate(start) }) else { return }
    // Outside of the lock, since it takes as long as the pages are many. If the system refuses, they merely stay.
    _ = byz_memory_discard(fileDescriptor, range.lowerBound, range.count)
    withState { $0.finishDiscarding(range) }
  }

  private func withState<R>(_ body: (inout ArenaState) -> R) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return body(&state)
  }
}

/// A block of an arena for as long as this object lives.
private final class ArenaBlock {
  private let arena: SharedArena
  private let start: Int

  init(arena: SharedArena, start: Int) {
    self.arena = arena
    self.start = start
  }

  deinit { arena.giveBack(start) }
}
