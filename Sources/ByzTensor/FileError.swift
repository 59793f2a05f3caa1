#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file operation that failed.
public struct FileError: Error, Hashable, Sendable {
  /// The file.
  public let path: String
  /// What was tried, as a verb: "open", "map".
  public let operation: String
  /// The system's error number, such as `ENOENT`.
  public let code: Int32

  package init(path: String, operation: String, code: Int32 = errno) {
    self.path = path
    self.operation = operation
    self.code = code
  }

  /// Whether there was nothing at the path.
  package var isMissing: Bool { code == ENOENT || code == ENOTDIR }
}

extension FileError: CustomStringConvertible {
  /// The path, what was tried, and the system's words for why it failed.
  public var description: String {
    "Cannot \(operation) \(path): \(String(cString: strerror(code)))"
  }
}
