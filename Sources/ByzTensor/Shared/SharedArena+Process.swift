import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension SharedArena {
  /// The arena of this process, made when it is first asked for: all child processes read the same one. In a child process it is
  /// the one that its parent reads.
  ///
  /// - Throws: ``SharedMemoryError/unavailable(reason:)``, every time alike.
  package static func process() throws(SharedMemoryError) -> SharedArena {
    try own.get()
  }

  /// Makes the memory of a descriptor the arena of this process. Called once, before ``process()``.
  package static func adoptForProcess(fileDescriptor: CInt) {
    adopted.pointee = fileDescriptor
  }

  private static let own: Result<SharedArena, SharedMemoryError> = {
    do throws(SharedMemoryError) {
      let fileDescriptor = adopted.pointee
      if fileDescriptor >= 0 { return .success(try SharedArena(adopting: fileDescriptor)) }
      return .success(try SharedArena())
    } catch {
      return .failure(error)
    }
  }()

  /// What a child process has inherited. Written before there is a second thread, then only read.
  nonisolated(unsafe) private static let adopted: UnsafeMutablePointer<CInt> = {
    let descriptor = UnsafeMutablePointer<CInt>.allocate(capacity: 1)
    descriptor.initialize(to: -1)
    return descriptor
  }()
}

extension Tensor {
  /// This tensor in memory that child processes read where it lies, so that sending it copies nothing: the tensor itself when it is
  /// there already, otherwise a copy.
  ///
  /// Sending any other tensor to a child process copies it there first, each time it is sent.
  ///
  /// ```swift
  /// let gradient = try Tensor<Float>(repeating: 0, shape: [1_000_000]).sharedCopy()
  /// ```
  ///
  /// - Throws: ``SharedMemoryError``.
  public func sharedCopy() throws(SharedMemoryError) -> Tensor {
    let arena = try SharedArena.process()
    if arena.place(of: segment) != nil { return self }
    let copy = try arena.copy(of: segment)
    return Tensor(shape: shape, storage: copy.storage)
  }
}
