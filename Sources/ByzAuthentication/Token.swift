public import ByzRuntime
import Crypto

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A secret that both ends of a connection hold and neither ever sends.
///
/// ```
/// umask 077; openssl rand -hex 32 > token        # one line to make one
/// ```
///
/// Who watches an unencrypted connection can try tokens at leisure, so a token should be random. It
/// does not show itself: printing one gives its length only.
public struct Token: Sendable {
  /// The fewest bytes a token may have.
  public static let minimumByteCount = 16
  /// The most bytes a token may have.
  public static let maximumByteCount = 4096

  let key: SymmetricKey

  /// A token of these bytes.
  ///
  /// - Throws: `RuntimeError.Code.invalidConfiguration` when there are fewer than
  ///   ``minimumByteCount`` or more than ``maximumByteCount``.
  public init(_ bytes: some Sequence<UInt8>) throws(RuntimeError) {
    try self.init(bytes, from: "A token")
  }

  /// The token in a file, without white space around it.
  ///
  /// - Throws: `RuntimeError.Code.invalidConfiguration` when the file cannot be read, when others
  ///   than its owner can read or write it, or when the token is too short or too long.
  public init(contentsOfFile path: String) throws(RuntimeError) {
    let name = "The token file \(path)"
    // Not blocked by a pipe without a writer; what is no regular file is refused below.
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else {
      throw RuntimeError(
        .invalidConfiguration, "\(name) cannot be opened: \(String(cString: strerror(errno))).")
    }
    defer { _ = close(file) }
    // Asked of the open file, which cannot be exchanged after the check as a path can.
    var status = stat()
    guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw RuntimeError(.invalidConfiguration, "\(name) is no regular file.")
    }
    guard status.st_mode & 0o077 == 0 else {
      throw RuntimeError(
        .invalidConfiguration,
        """
        \(name) has mode \(String(status.st_mode & 0o777, radix: 8)), so that others than its owner \
        may use it: chmod 600 \(path), and make a new token if others could read this one.
        """)
    }
    // Room for some white space; a file that fills it all is too long, and its beginning no token.
    var bytes = [UInt8](repeating: 0, count: Token.maximumByteCount + 64)
    var count = 0
    while count < bytes.count {
      let capacity = bytes.count
      let size = bytes.withUnsafeMutableBytes {
        read(file, $0.baseAddress! + count, capacity - count)  // not empty
      }
      if size < 0, errno == EINTR { continue }
      guard size >= 0 else {
        throw RuntimeError(
          .invalidConfiguration, "\(name) cannot be read: \(String(cString: strerror(errno))).")
      }
      if size == 0 { break }
      count += size
    }
    let isWhole = count < bytes.count
    try self.init(isWhole ? Token.trimmed(bytes[..<count]) : bytes[...], from: name)
  }

  /// The token in an environment variable, without white space around it; nil when there is no such
  /// variable.
  ///
  /// - Throws: `RuntimeError.Code.invalidConfiguration` when the token is too short or too long.
  public static func inEnvironment(
    _ variable: String = "BYZKIT_TOKEN"
  ) throws(RuntimeError) -> Token? {
    guard let value = getenv(variable) else { return nil }
    // As they are: made a string of, all that is no UTF-8 would become the same.
    let bytes = UnsafeRawBufferPointer(start: value, count: strlen(value)).map { $0 }
    return try Token(trimmed(bytes[...]), from: "The environment variable \(variable)")
  }

  private init(_ bytes: some Sequence<UInt8>, from name: String) throws(RuntimeError) {
    let bytes = Array(bytes)
    guard (Token.minimumByteCount...Token.maximumByteCount).contains(bytes.count) else {
      throw RuntimeError(
        .invalidConfiguration,
        """
        \(name) has \(bytes.count) bytes, and must have \(Token.minimumByteCount) to \
        \(Token.maximumByteCount): openssl rand -hex 32 makes one.
        """)
    }
    key = SymmetricKey(data: bytes)
  }

  /// Files end in a line feed, which nobody means.
  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let isSpace: (UInt8) -> Bool = { $0 == 0x20 || (0x09...0x0D).contains($0) }
    guard let first = bytes.firstIndex(where: { !isSpace($0) }),
      let last = bytes.lastIndex(where: { !isSpace($0) })
    else { return [] }
    return bytes[first...last]
  }
}

extension Token: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The length, and nothing of the secret.
  public var description: String { "Token(\(key.bitCount / 8) bytes)" }
  /// The same.
  public var debugDescription: String { description }
  /// Nothing to look into.
  public var customMirror: Mirror { Mirror(self, children: []) }
}
