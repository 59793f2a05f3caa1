import CByzZlib

/// Unpacks gzip data held in memory.
public enum Gzip {
  /// Whether bytes begin as gzip data does.
  public static func isGzip(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.starts(with: [0x1F, 0x8B])
  }

  /// Everything in gzip data, if that is at most `limit` bytes.
  ///
  /// Memory grows with what is really unpacked, never with what the data announce.
  ///
  /// - Throws: ``GzipError``.
  public static func inflate(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(GzipError)
    -> [UInt8]
  {
    var reader = try GzipReader(bytes)
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = try reader.read(into: &chunk)
      guard count > 0 else { return output }
      guard count <= limit - output.count else { throw .tooLong(limit: limit) }
      output.append(contentsOf: chunk[..<count])
    }
  }
}

/// Unpacks gzip data piece by piece, in constant memory.
///
/// Several members after one another count as one, as `gunzip` has it; anything else behind the
/// data is an error.
public struct GzipReader: ~Copyable {
  private var remaining: UnsafeRawBufferPointer
  private let byteCount: Int
  private var inflater: OpaquePointer?

  /// Reads `bytes`, which must stay in place as long as the reader is used.
  ///
  /// - Throws: ``GzipError/zlibMissing``, ``GzipError/notGzip(at:)``.
  public init(_ bytes: UnsafeRawBufferPointer) throws(GzipError) {
    remaining = bytes
    byteCount = bytes.count
    inflater = nil
    try startMember()
  }

  deinit {
    if let inflater { byz_inflater_destroy(inflater) }
  }

  /// Fills `buffer` with the next bytes.
  ///
  /// - Returns: how many were written: fewer than there is room for only at the end of the data,
  ///   where their lengths and checksums have been compared.
  /// - Throws: ``GzipError``; what was written before is then worthless.
  public mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(GzipError) -> Int {
    var output = buffer.baseAddress
    var room = buffer.count
    while let inflater, room > 0 {
      var input = remaining.baseAddress
      var count = remaining.count
      let status = byz_inflater_step(inflater, &input, &count, &output, &room)
      let isStuck = count == remaining.count && room > 0
      remaining = UnsafeRawBufferPointer(start: input, count: count)
      switch status {
      case BYZ_INFLATE_OK where room == 0: break
      case BYZ_INFLATE_OK where count == 0 || isStuck: throw .truncated(byteCount)
      case BYZ_INFLATE_OK: break
      case BYZ_INFLATE_END:
        byz_inflater_destroy(inflater)
        self.inflater = nil
        if count > 0 { try startMember() }
      case BYZ_INFLATE_NO_MEMORY: throw .outOfMemory
      default: throw .corrupt(at: byteCount - count)
      }
    }
    return buffer.count - room
  }

  /// Fills `buffer` with the next bytes, as ``read(into:)`` for raw memory.
  public mutating func read(into buffer: inout [UInt8]) throws(GzipError) -> Int {
    var failure: GzipError?
    var count = 0
    buffer.withUnsafeMutableBytes { bytes in
      do throws(GzipError) { count = try read(into: bytes) } catch { failure = error }
    }
    if let failure { throw failure }
    return count
  }

  private mutating func startMember() throws(GzipError) {
    guard Gzip.isGzip(remaining) else { throw .notGzip(at: byteCount - remaining.count) }
    guard byz_zlib_available() else { throw .zlibMissing }
    inflater = byz_inflater_create()
    guard inflater != nil else { throw .outOfMemory }
  }
}

/// Why gzip data could not be unpacked.
public enum GzipError: Error, Hashable, Sendable {
  /// The bytes from here on are not gzip data.
  case notGzip(at: Int)
  /// The data are damaged at or before this byte: impossible codes, a wrong checksum or length.
  case corrupt(at: Int)
  /// The data end, after this many bytes, before they are complete.
  case truncated(Int)
  /// Unpacked, the data have more than `limit` bytes.
  case tooLong(limit: Int)
  /// zlib is not installed.
  case zlibMissing
  /// There was no memory for zlib's window.
  case outOfMemory
}

extension GzipError: CustomStringConvertible {
  /// What is wrong, and what to change.
  public var description: String {
    switch self {
    case .notGzip(let position): "There are no gzip data at byte \(position)."
    case .corrupt(let position): "The gzip data are damaged at or before byte \(position)."
    case .truncated(let count): "The gzip data are incomplete: they end after \(count) bytes."
    case .tooLong(let limit): "Unpacked, the data would have more than \(limit) bytes."
    case .zlibMissing:
      "Unpacking gzip needs zlib (libz.so.1, Debian package zlib1g); or unpack the file with gunzip."
    case .outOfMemory: "There is no memory to unpack gzip data."
    }
  }
}
