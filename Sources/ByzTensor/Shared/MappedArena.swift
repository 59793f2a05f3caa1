import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Shared memory mapped into this process, until the last reference to this object goes.
///
/// `@unchecked Sendable`: all properties are constant. Who may write where is for the owner of the arena to say; a mapping of
/// someone else's arena is for reading only.
package final class MappedArena: @unchecked Sendable {
  package let address: UnsafeMutableRawPointer
  package let byteCount: Int

  /// Maps the memory of a descriptor, which may be closed afterwards.
  ///
  /// - Throws: ``SharedMemoryError/unavailable(reason:)`` when it is no shared memory, or there are no addresses left.
  package init(fileDescriptor: CInt, isWritable: Bool = false) throws(SharedMemoryError) {
    let size = byz_memory_size(fileDescriptor)
    guard size > 0 else { throw .unavailable(errorNumber: size < 0 ? CInt(-size) : EINVAL) }
    var error: CInt = 0
    guard let address = byz_memory_map(fileDescriptor, Int(size), isWritable, &error) else {
      throw .unavailable(errorNumber: error)
    }
    self.address = address
    byteCount = Int(size)
  }

  deinit { byz_memory_unmap(address, byteCount) }

  /// Whether a range lies within the memory.
  package func contains(offset: UInt64, byteCount: Int) -> Bool {
    byteCount >= 0 && byteCount <= self.byteCount && offset <= UInt64(self.byteCount - byteCount)
  }
}

extension SharedMemoryError {
  /// What the system said.
  static func unavailable(errorNumber: CInt) -> SharedMemoryError {
    .unavailable(reason: String(cString: strerror(errorNumber)))
  }
}
