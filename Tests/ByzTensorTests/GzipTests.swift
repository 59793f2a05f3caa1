import ByzTensor
import Testing

@Suite("Unpacking gzip")
struct GzipTests {
  /// 20 times "Byzantine workers lie. ", packed with dynamic codes.
  static let packed = bytes(
    "1f8b080000000000020373aaac4acc2bc9cc4b5528cf2fca4e2d2a56c8c94cd553701a151e7ac200c6529e90cc010000"
  )
  static let unpacked = Array(String(repeating: "Byzantine workers lie. ", count: 20).utf8)
  /// 100,000 zeros in 132 bytes.
  static let zeros = bytes(
    "1f8b0800000000000203edc13101000000c2a0f54f6d0d0fa0" + String(repeating: "00", count: 96)
      + "8057037d9511d4a0860100")

  static func bytes(_ hexadecimal: String) -> [UInt8] {
    let digits = hexadecimal.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }

  func inflate(_ bytes: [UInt8], limit: Int = 1 << 20) throws(GzipError) -> [UInt8] {
    var result: Result<[UInt8], GzipError> = .success([])
    bytes.withUnsafeBytes { bytes in
      result = Result { () throws(GzipError) in try Gzip.inflate(bytes, limit: limit) }
    }
    return try result.get()
  }

  @Test("gives back what was packed")
  func inflate() throws {
    #expect(try inflate(Self.packed) == Self.unpacked)
    #expect(try inflate(Self.zeros) == Array(repeating: 0, count: 100_000))
  }

  @Test("several members follow one another, empty ones too")
  func members() throws {
    let empty: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 2, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    #expect(try inflate(empty) == [])
    #expect(try inflate(Self.packed + empty + Self.packed) == Self.unpacked + Self.unpacked)
  }

  @Test("can be read in pieces of any size")
  func pieces() throws {
    try Self.packed.withUnsafeBytes { bytes in
      var reader = try GzipReader(bytes)
      var output: [UInt8] = []
      var piece = [UInt8](repeating: 0, count: 7)
      while case let count = try reader.read(into: &piece), count > 0 { output += piece[..<count] }
      #expect(output == Self.unpacked)
      #expect(try reader.read(into: &piece) == 0)
    }
  }

  @Test("stops at the limit")
  func limit() throws {
    #expect(try inflate(Self.packed, limit: 460) == Self.unpacked)
    #expect(throws: GzipError.tooLong(limit: 459)) {
      try inflate(Self.packed, limit: 459).count
    }
    #expect(throws: GzipError.tooLong(limit: 99_999)) {
      try inflate(Self.zeros, limit: 99_999).count
    }
  }

  @Test("refuses data cut off anywhere")
  func truncation() {
    for count in 2..<Self.packed.count {
      #expect(throws: GzipError.truncated(count)) { try inflate(Array(Self.packed[..<count])) }
    }
    #expect(throws: GzipError.notGzip(at: 0)) { try inflate([0x1F]) }
    #expect(throws: GzipError.notGzip(at: 0)) { try inflate([]) }
  }

  @Test("refuses a wrong checksum, a wrong length and anything behind the data")
  func damage() {
    for position in 40..<48 {
      var damaged = Self.packed
      damaged[position] ^= 1
      let error = #expect(throws: GzipError.self) { try inflate(damaged) }
      let isExpected = if case .corrupt = error { true } else { false }
      #expect(isExpected, "\(error as Any)")
    }
    #expect(throws: GzipError.notGzip(at: 48)) { try inflate(Self.packed + [0, 0, 0]) }
  }

  @Test("survives any change of two bytes")
  func mutations() {
    var stream = RandomStream(RandomKey(2))
    for _ in 0..<500 {
      var bytes = Self.packed
      for _ in 0..<2 { bytes[stream.integer(below: 48)] ^= UInt8(1 + stream.integer(below: 255)) }
      // What passes the checksum is what was packed: the rest of the header does not matter.
      if let output = try? inflate(bytes, limit: 1 << 16) { #expect(output == Self.unpacked) }
    }
  }
}
