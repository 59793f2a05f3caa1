import ByzTensor

/// An array of bytes from an IDX file, the format of MNIST: images (count, rows, columns) or labels
/// (count).
///
/// ```
/// 00 00 08 rank   one u32, most significant byte first, per dimension   bytes…
/// ```
public struct IDX: Hashable, Sendable {
  /// One extent, for labels, or three, for images.
  public let dimensions: [Int]
  /// The elements in row-major order.
  public let values: [UInt8]

  /// The most elements that are read: 1 GiB, twenty times MNIST's training images.
  public static let limit = 1 << 30

  /// Reads the contents of an IDX file, plain or in gzip.
  ///
  /// Magic number, dimensions and length must agree. Beside 64 KiB, no more memory is used than
  /// dimensions that fit the length ask for (gzip: that fit 1032 times the length, which is as far
  /// as it can pack).
  ///
  /// - Throws: ``IDXError``.
  public static func parse(_ bytes: UnsafeRawBufferPointer) throws(IDXError) -> IDX {
    try Gzip.isGzip(bytes) ? parsePacked(bytes) : parsePlain(bytes)
  }

  private static func parsePlain(_ bytes: UnsafeRawBufferPointer) throws(IDXError) -> IDX {
    let rank = try rank(of: bytes.prefix(4))
    let start = 4 + 4 * rank
    guard bytes.count >= start else { throw .tooShort(expected: start, actual: bytes.count) }
    let dimensions = extents(in: bytes[4..<start])
    let count = try count(of: dimensions, limit: limit)
    guard bytes.count == start + count else {
      throw .wrongLength(dimensions: dimensions, expected: start + count, actual: bytes.count)
    }
    return IDX(dimensions: dimensions, values: Array(bytes[start...]))
  }

  private static func parsePacked(_ bytes: UnsafeRawBufferPointer) throws(IDXError) -> IDX {
    var reader: GzipReader
    do throws(GzipError) { reader = try GzipReader(bytes) } catch { throw .gzip(error) }
    let magic = try read(4, from: &reader)
    let rank = try rank(of: magic)
    let header = try read(4 * rank, from: &reader)
    let start = 4 + 4 * rank
    guard start == 4 + header.count else {
      throw .tooShort(expected: start, actual: 4 + header.count)
    }
    let dimensions = extents(in: header)
    let count = try count(of: dimensions, limit: min(limit, 1032 * bytes.count))
    let values = try read(count, from: &reader)
    let actual = try start + values.count + read(1, from: &reader).count
    guard actual == start + count else {
      throw .wrongLength(dimensions: dimensions, expected: start + count, actual: actual)
    }
    return IDX(dimensions: dimensions, values: values)
  }

  /// The next `count` bytes, or all there are.
  private static func read(_ count: Int, from reader: inout GzipReader) throws(IDXError) -> [UInt8]
  {
    var failure: GzipError?
    // Not cleared first: memory is claimed page by page, as data arrive.
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      let room = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)
      do throws(GzipError) { initialized = try reader.read(into: room) } catch { failure = error }
    }
    if let failure { throw .gzip(failure) }
    return bytes
  }

  private static func rank(of magic: some Collection<UInt8>) throws(IDXError) -> Int {
    guard magic.count == 4 else { throw .tooShort(expected: 4, actual: magic.count) }
    switch magic.reduce(0, { $0 << 8 | UInt32($1) }) {
    case 0x0000_0801: return 1
    case 0x0000_0803: return 3
    case let other: throw .wrongMagic(other)
    }
  }

  private static func extents(in header: some Collection<UInt8>) -> [Int] {
    var extents: [Int] = []
    for (i, byte) in header.enumerated() {
      if i.isMultiple(of: 4) { extents.append(0) }
      extents[i / 4] = extents[i / 4] << 8 | Int(byte)
    }
    return extents
  }

  private static func count(of dimensions: [Int], limit: Int) throws(IDXError) -> Int {
    guard !dimensions.contains(0) else { throw .empty(dimensions) }
    var count = 1
    for extent in dimensions {
      // Both are below 2³², so the product cannot overflow.
      count *= extent
      guard count <= limit else { throw .tooLarge(dimensions, limit: limit) }
    }
    return count
  }
}

/// Why bytes are no IDX file of images or labels.
public enum IDXError: Error, Hashable, Sendable {
  /// The first four bytes are neither 00000801 (labels) nor 00000803 (images).
  case wrongMagic(UInt32)
  /// The header needs `expected` bytes.
  case tooShort(expected: Int, actual: Int)
  /// A dimension is zero.
  case empty([Int])
  /// The dimensions ask for more than `limit` elements, which is all that is read, or all that the
  /// gzip data can hold.
  case tooLarge([Int], limit: Int)
  /// The dimensions ask for `expected` bytes in all; `actual` were found, or at least that many.
  case wrongLength(dimensions: [Int], expected: Int, actual: Int)
  /// The gzip data cannot be unpacked.
  case gzip(GzipError)
}

extension IDXError: CustomStringConvertible {
  /// What is wrong, with the numbers.
  public var description: String {
    switch self {
    case .wrongMagic(let magic):
      "The file begins with 0x\(String(magic, radix: 16)), not with 0x801 (labels) or 0x803 (images)."
    case .tooShort(let expected, let actual):
      "The header needs \(expected) bytes, but there are only \(actual)."
    case .empty(let dimensions): "The dimensions \(dimensions) hold nothing."
    case .tooLarge(let dimensions, let limit):
      "The dimensions \(dimensions) ask for more than \(limit) bytes, the most this file may hold."
    case .wrongLength(let dimensions, let expected, let actual):
      "The dimensions \(dimensions) need \(expected) bytes with the header, but there are \(actual)."
    case .gzip(let error): error.description
    }
  }
}
