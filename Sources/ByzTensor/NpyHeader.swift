/// The header of a `.npy` file: what the numbers after it mean.
///
/// ```
/// "\x93NUMPY"  major  minor  length (u16 in version 1, u32 in 2 and 3)  dictionary  numbers…
/// {'descr': '<f4', 'fortran_order': False, 'shape': (64, 65536), }
/// ```
///
/// Read strictly: the dictionary has these three keys and no others, and the file has exactly the
/// bytes that the shape asks for. A header can be wrong in any way without harm: nothing is
/// allocated that it announces.
public struct NpyHeader: Hashable, Sendable {
  /// The element types that are read, all little-endian.
  public enum Element: String, Hashable, Sendable, CaseIterable {
    /// Half precision.
    case float16 = "<f2"
    /// Single precision.
    case float32 = "<f4"
    /// Double precision.
    case float64 = "<f8"

    /// Bytes in one element: 2, 4 or 8.
    public var byteCount: Int {
      switch self {
      case .float16: 2
      case .float32: 4
      case .float64: 8
      }
    }
  }

  /// The type of all elements.
  public let element: Element
  /// Whether the first index varies fastest; row-major, where the last one does, if false.
  public let fortranOrder: Bool
  /// The extent of each dimension; empty for a single number.
  public let shape: [Int]
  /// Where the numbers begin in the file, in bytes.
  public let dataOffset: Int

  /// The most dimensions a file may have, as in NumPy.
  public static let maximumRank = 32
  /// The longest dictionary that is read, in bytes.
  public static let maximumLength = 32 << 10

  /// Bytes of numbers after the header.
  public var dataByteCount: Int { shape.reduce(element.byteCount, *) }

  /// Reads the header of a file of `fileByteCount` bytes, which `bytes` begins: all of it by
  /// default.
  ///
  /// Of a longer file, ``maximumLength`` + 12 bytes are always enough. The extents of an accepted
  /// shape can be multiplied in any order without overflow, even beside an extent of zero.
  ///
  /// - Throws: ``NpyError``, for anything that is not such a file of exactly the right length.
  public static func parse(
    _ bytes: UnsafeRawBufferPointer, fileByteCount: Int? = nil
  ) throws(NpyError) -> NpyHeader {
    let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
    guard bytes.starts(with: magic) else { throw .notNpy }
    guard bytes.count >= 10 else { throw .truncatedHeader(expected: 10, actual: bytes.count) }
    let (major, minor) = (bytes[6], bytes[7])
    guard (1...3).contains(major), minor == 0 else {
      throw .unsupportedVersion(major: Int(major), minor: Int(minor))
    }
    let start = major == 1 ? 10 : 12
    guard bytes.count >= start else { throw .truncatedHeader(expected: start, actual: bytes.count) }
    let length = (8..<start).reversed().reduce(0) { $0 << 8 | Int(bytes[$1]) }
    guard length <= maximumLength else { throw .headerTooLong(length, limit: maximumLength) }
    guard bytes.count >= start + length else {
      throw .truncatedHeader(expected: start + length, actual: bytes.count)
    }
    var dictionary = NpyDictionary(
      UnsafeRawBufferPointer(rebasing: bytes[start..<start + length]), startsAt: start)
    let (element, fortranOrder, shape) = try dictionary.read()

    // Without the zeros, as NumPy does: strides and rows then cannot overflow either.
    var expected = element.byteCount
    for extent in shape where extent > 0 {
      let (product, overflow) = expected.multipliedReportingOverflow(by: extent)
      guard !overflow else { throw .shapeTooLarge(shape) }
      expected = product
    }
    if shape.contains(0) { expected = 0 }
    let (total, overflow) = expected.addingReportingOverflow(start + length)
    guard !overflow else { throw .shapeTooLarge(shape) }
    let actual = fileByteCount ?? bytes.count
    guard total == actual else {
      throw .wrongLength(shape: shape, expected: total, actual: actual)
    }
    return NpyHeader(
      element: element, fortranOrder: fortranOrder, shape: shape, dataOffset: start + length)
  }
}

// MARK: - Writing

extension NpyHeader {
  /// The header for row-major numbers of a shape.
  ///
  /// - Precondition: at most ``maximumRank`` extents, none of them negative.
  public init(element: Element, shape: [Int]) {
    precondition(shape.count <= Self.maximumRank && shape.allSatisfy { $0 >= 0 })
    let prefix = Self.encode(element, shape)
    self.init(element: element, fortranOrder: false, shape: shape, dataOffset: prefix.count)
  }

  /// The first ``dataOffset`` bytes of a row-major file, version 1.0; a multiple of 64, so that the
  /// numbers are aligned.
  public var encoded: [UInt8] { Self.encode(element, shape) }

  private static func encode(_ element: Element, _ shape: [Int]) -> [UInt8] {
    let extents = shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? "," : "")
    let text = "{'descr': '\(element.rawValue)', 'fortran_order': False, 'shape': (\(extents)), }"
    let total = (10 + text.utf8.count + 1 + 63) / 64 * 64
    let length = total - 10
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)]
      + Array(text.utf8) + Array(repeating: 0x20, count: length - text.utf8.count - 1) + [0x0A]
  }
}
