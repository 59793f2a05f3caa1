import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file being written, which appears at its path complete or not at all.
///
/// ```swift
/// let output = try OutputFile(path: "sum.npy", byteCount: 4_000_128)
/// output.withUnsafeMutableBytes { bytes in … }
/// let mapping = try output.commit()
/// ```
///
/// Until ``commit()`` the bytes are in a file without a name, which is gone with the process however that ends. Where the system has
/// no such files they are in `path.tmp-<process>-<number>` beside the path. An output that goes without a commit leaves nothing
/// behind, and whatever was at the path stays.
public final class OutputFile {
  private let path: String
  /// The name that the file has until it is at its path: from the beginning, or only for a moment in ``commit()``.
  package let temporaryPath: String
  private let descriptor: Int32
  /// The mapping that ``commit()`` returns.
  package let mapping: FileMapping
  /// Whether the file has its temporary name, which is this object's to remove.
  private var hasName: Bool
  private var isCommitted = false

  /// Makes room for a file of this size, filled with zeros.
  ///
  /// - Throws: ``FileError``, `ENOSPC` among them: the room is claimed now, so that writing cannot
  ///   fail later.
  public convenience init(path: String, byteCount: Int) throws(FileError) {
    try self.init(path: path, byteCount: byteCount, keepsName: true)
  }

  /// The same; without its name the file is gone with the last reference to this object, however the process ends.
  init(path: String, byteCount: Int, keepsName: Bool) throws(FileError) {
    if keepsName { try Self.checkPlace(path) }
    let opened: Opened
    let isNamed: Bool
    if let nameless = Self.openNameless(for: path) {
      opened = nameless
      isNamed = false
    } else {
      opened = try Self.openNamed(for: path)
      isNamed = keepsName
      // Before the room is claimed, which may take long.
      if !keepsName { unlink(opened.name) }
    }
    do throws(FileError) {
      try Self.claim(byteCount, of: opened.descriptor, path: opened.name)
      mapping = try FileMapping(
        descriptor: opened.descriptor, byteCount: byteCount, path: path, isWritable: true)
    } catch {
      close(opened.descriptor)
      if isNamed { unlink(opened.name) }
      throw error
    }
    self.path = path
    hasName = isNamed
    temporaryPath = opened.name
    descriptor = opened.descriptor
  }

  /// A file, and the name that it has or will get beside its path.
  private struct Opened {
    let descriptor: Int32
    let name: String
  }

  /// A file without a name; nil where there is none, or where the name that it would get cannot be.
  private static func openNameless(for path: String) -> Opened? {
    let descriptor = byz_open_nameless(folder(of: path))
    guard descriptor >= 0 else { return nil }
    var status = stat()
    if fstat(descriptor, &status) == 0 {
      // As long as the file exists, no other one in this folder has its number.
      let name = "\(path).tmp-\(getpid())-\(status.st_ino)"
      if lstat(name, &status) != 0, errno == ENOENT {
        return Opened(descriptor: descriptor, name: name)
      }
    }
    close(descriptor)
    return nil
  }

  /// A file with a name.
  private static func openNamed(for path: String) throws(FileError) -> Opened {
    var number = 0
    var name = ""
    var descriptor: Int32 = -1
    repeat {
      number += 1
      name = "\(path).tmp-\(getpid())-\(number)"
      // Exclusive: never through a link someone else put there.
      descriptor = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    } while descriptor < 0 && errno == EEXIST && number < 1_000
    guard descriptor >= 0 else { throw FileError(path: name, operation: "create") }
    return Opened(descriptor: descriptor, name: name)
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// Refuses now what a new file could not, or must not, take the place of: a folder, a device, a pipe.
  private static func checkPlace(_ path: String) throws(FileError) {
    guard !path.isEmpty, !path.hasSuffix("/") else {
      throw FileError(path: path, operation: "put a file at", code: path.isEmpty ? ENOENT : EISDIR)
    }
    var status = stat()
    guard stat(path, &status) == 0 else { return }
    let kind = status.st_mode & S_IFMT
    guard kind == S_IFREG else {
      throw FileError(
        path: path, operation: "put a file in place of what is no regular file at",
        code: kind == S_IFDIR ? EISDIR : EINVAL)
    }
  }

  private static func claim(_ byteCount: Int, of descriptor: Int32, path: String) throws(FileError)
  {
    guard ftruncate(descriptor, off_t(byteCount)) == 0 else {
      throw FileError(path: path, operation: "make room for \(byteCount) bytes in")
    }
    #if !canImport(Darwin)
      guard byteCount > 0 else { return }
      let code = posix_fallocate(descriptor, 0, off_t(byteCount))
      guard code == 0 else {
        throw FileError(path: path, operation: "make room for \(byteCount) bytes in", code: code)
      }
    #endif
  }

  /// Calls `body` with the bytes of the file, to write them.
  public func withUnsafeMutableBytes<R, Failure: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> R
  ) throws(Failure) -> R {
    try mapping.withUnsafeMutableBytes(body)
  }

  /// Writes bytes to where they would be in the mapping. The system copies them faster than it gives a process its file's new pages, one
  /// fault at a time, to write them itself.
  func write(_ bytes: UnsafeRawBufferPointer, at address: UnsafeMutableRawPointer) {
    guard let start = mapping.region.baseAddress else { return }
    var rest = bytes
    while rest.count > 0, let source = rest.baseAddress {
      let done = bytes.count - rest.count
      let count = pwrite(descriptor, source, rest.count, off_t(address + done - start))
      if count < 0, errno == EINTR { continue }
      // Whatever is wrong with the file, the mapping says it in the way that it says everything.
      guard count > 0 else {
        return (address + done).copyMemory(from: source, byteCount: rest.count)
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  /// Puts the file at its path, in place of what was there, after waiting until its bytes would
  /// survive a loss of power, and waits until the path would too. After such a loss the path holds
  /// this file or, if the call had not returned, perhaps the one before: always a whole one.
  ///
  /// - Returns: the file, still mapped.
  /// - Throws: ``FileError``; the file can then be committed again or abandoned, unless its
  ///   operation is "keep": then it is at its path, but may be gone after a loss of power.
  /// - Precondition: it was not committed before.
  public func commit() throws(FileError) -> FileMapping {
    precondition(!isCommitted, "\(path) was committed before")
    let region = mapping.region
    if let start = region.baseAddress, msync(start, region.count, MS_SYNC) != 0 {
      throw FileError(path: temporaryPath, operation: "write")
    }
    if !hasName {
      let code = -byz_name_file(descriptor, temporaryPath)
      guard code == 0 else { throw FileError(path: path, operation: "put a file at", code: code) }
      hasName = true
    }
    // Now that it has a name: there are file systems that keep nothing of a file without one.
    guard fsync(descriptor) == 0 else { throw FileError(path: temporaryPath, operation: "write") }
    guard rename(temporaryPath, path) == 0 else {
      throw FileError(path: path, operation: "put a file at")
    }
    isCommitted = true
    try keepName()
    return mapping
  }

  /// Waits until the folder's new entry would survive a loss of power.
  private func keepName() throws(FileError) {
    let opened = open(Self.folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard opened >= 0 else { throw FileError(path: path, operation: "keep") }
    defer { close(opened) }
    // Some file systems have no such operation for folders, and keep names without it.
    guard fsync(opened) == 0 || errno == EINVAL else {
      throw FileError(path: path, operation: "keep")
    }
  }

  deinit {
    close(descriptor)
    // A name that was given up may be another file's by now.
    if hasName && !isCommitted { unlink(temporaryPath) }
  }
}
