/// The checksum CRC-64/XZ (ECMA-182, reflected): it finds every error of up to 64 bits in a row, and
/// all others but for one in 2⁶⁴. Of the nine bytes `123456789` it is 0x995D_C9BB_DF19_39FA.
///
/// It finds accidents, not forgeries.
package enum CRC64 {
  /// Eight tables of 256: table k is for a byte that k more bytes follow, so that eight bytes take
  /// eight look-ups that do not wait for each other.
  private static let tables: [UInt64] = {
    var tables = [UInt64](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      tables[byte] = (0..<8).reduce(UInt64(byte)) { crc, _ in
        crc & 1 == 1 ? crc >> 1 ^ 0xC96C_5795_D787_0F42 : crc >> 1
      }
    }
    for entry in 256..<tables.count {
      let previous = tables[entry - 256]
      tables[entry] = previous >> 8 ^ tables[Int(previous & 0xFF)]
    }
    return tables
  }()

  /// The checksum of some bytes.
  package static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    tables.withUnsafeBufferPointer { tables in
      var crc = UInt64.max
      var offset = 0
      while offset + 8 <= bytes.count {
        crc ^= UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        var next: UInt64 = 0
        for byte in 0..<8 {
          next ^= tables[(7 - byte) * 256 + Int(crc >> UInt64(8 * byte) & 0xFF)]
        }
        crc = next
        offset += 8
      }
      for byte in bytes[offset...] {
        crc = crc >> 8 ^ tables[Int(UInt8(truncatingIfNeeded: crc) ^ byte)]
      }
      return ~crc
    }
  }
}
