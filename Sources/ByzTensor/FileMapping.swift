#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file mapped into memory, until the last reference to this object goes.
///
/// Nothing is read before it is touched, so a file may be larger than memory. If another process
/// shortens the file, touching the part that is gone ends this process (`SIGBUS`); replace files,
/// as ``OutputFile`` does, instead of rewriting them.
///
/// `@unchecked Sendable`: all properties are constant. The bytes change only through
/// ``withUnsafeMutableBytes(_:)``, whose callers divide the range among themselves, as for any
/// shared memory.
public final class FileMapping: @unchecked Sendable {
  /// The path the file was opened at.
  public let path: String
  /// Whether the mapping may be written to.
  public let isWritable: Bool
  /// The whole file, in place as long as this object lives: for those who hold on to both.
  package let region: UnsafeMutableRawBufferPointer

  /// The size of the file when it was mapped.
  public var byteCount: Int { region.count }

  /// Calls `body` with the whole file.
  public func withUnsafeBytes<R, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> R
  ) throws(Failure) -> R {
    // The mapping must outlive the call; `region` alone would not keep it.
    defer { withExtendedLifetime(self) {} }
    return try body(UnsafeRawBufferPointer(region))
  }

  /// Calls `body` with the whole file, to read and write. What is written reaches the file.
  ///
  /// - Precondition: ``isWritable``.
  public func withUnsafeMutableBytes<R, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> R
  ) throws(Failure) -> R {
    precondition(isWritable, "\(path) is mapped for reading only")
    defer { withExtendedLifetime(self) {} }
    return try body(region)
  }

  /// Maps a file for reading.
  ///
  /// - Throws: ``FileError`` if it cannot be opened or mapped, or is no regular file (`EINVAL`).
  public convenience init(reading path: String) throws(FileError) {
    try self.init(opening: path, flags: O_RDONLY, isWritable: false)
  }

  /// Maps a file for reading and writing in place.
  ///
  /// - Throws: ``FileError`` if it cannot be opened or mapped, or is no regular file (`EINVAL`).
  public convenience init(updating path: String) throws(FileError) {
    try self.init(opening: path, flags: O_RDWR, isWritable: true)
  }

  private convenience init(opening path: String, flags: Int32, isWritable: Bool) throws(FileError) {
    // Without O_NONBLOCK, opening a named pipe would wait for its other end.
    let descriptor = open(path, flags | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw FileError(path: path, operation: "open") }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw FileError(path: path, operation: "examine") }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw FileError(path: path, operation: "map what is no regular file at", code: EINVAL)
    }
    try self.init(
      descriptor: descriptor, byteCount: Int(status.st_size), path: path, isWritable: isWritable)
  }

  /// Maps an open file, which may be closed afterwards.
  init(descriptor: Int32, byteCount: Int, path: String, isWritable: Bool) throws(FileError) {
    self.path = path
    self.isWritable = isWritable
    // There is no mapping of nothing.
    guard byteCount > 0 else {
      region = UnsafeMutableRawBufferPointer(start: nil, count: 0)
      return
    }
    let protection = isWritable ? PROT_READ | PROT_WRITE : PROT_READ
    let address = mmap(nil, byteCount, protection, MAP_SHARED, descriptor, 0)
    guard let address, address != MAP_FAILED else { throw FileError(path: path, operation: "map") }
    region = UnsafeMutableRawBufferPointer(start: address, count: byteCount)
  }

  deinit {
    if let address = region.baseAddress { munmap(address, region.count) }
  }
}
