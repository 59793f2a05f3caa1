import ByzKit

/// Everything in gzip data, or why there is nothing.
public func inflated(
  _ bytes: UnsafeRawBufferPointer, limit: Int
) -> Result<[UInt8], GzipError> {
  Result { () throws(GzipError) in try Gzip.inflate(bytes, limit: limit) }
}

/// Reads gzip data in pieces, until they end or are more than `limit` bytes.
///
/// - Returns: what came before the end, or before `failure`.
public func streamed(
  _ bytes: UnsafeRawBufferPointer, limit: Int, pieceByteCount: Int
) -> (output: [UInt8], failure: GzipError?) {
  var output: [UInt8] = []
  do throws(GzipError) {
    var reader = try GzipReader(bytes)
    var piece = [UInt8](repeating: 0, count: pieceByteCount)
    while output.count <= limit {
      let count = try reader.read(into: &piece)
      output += piece[..<count]
      if count < piece.count {
        check(try reader.read(into: &piece) == 0, "nothing follows the end of the data")
        break
      }
    }
  } catch {
    return (output, error)
  }
  return (output, nil)
}

/// Gzip data that hold `contents` in one member or two, not packed.
public func gzipFile(_ contents: UnsafeRawBufferPointer, split: Bool = false) -> [UInt8] {
  if split {
    let middle = contents.count / 2
    return gzipFile(UnsafeRawBufferPointer(rebasing: contents[..<middle]))
      + gzipFile(UnsafeRawBufferPointer(rebasing: contents[middle...]))
  }
  let length = UInt16(contents.count)
  return [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
    // One stored block, the last one: its length, and the length's complement.
    + [1] + littleEndian(length) + littleEndian(~length)
    + Array(contents) + trailer(of: contents)
}

/// The same data with the checksum and length that belong to them, if these were what was wrong:
/// a change elsewhere would otherwise hardly ever be accepted.
public func repairedGzip(_ bytes: UnsafeRawBufferPointer, limit: Int) -> [UInt8]? {
  // Byte by byte, so that everything before the failure is known.
  let (output, failure) = streamed(bytes, limit: limit, pieceByteCount: 1)
  guard case .corrupt(let end) = failure else { return nil }
  // The failure was noticed after the checksum was read, or after checksum and length.
  for start in [end - 4, end - 8] where start >= 10 && start + 8 <= bytes.count {
    var repaired = Array(bytes)
    repaired.replaceSubrange(
      start..<start + 8, with: output.withUnsafeBytes { trailer(of: $0) })
    if repaired.withUnsafeBytes({ (try? inflated($0, limit: limit).get()) != nil }) {
      return repaired
    }
  }
  return nil
}

private func trailer(of contents: UnsafeRawBufferPointer) -> [UInt8] {
  littleEndian(checksum(contents)) + littleEndian(UInt32(contents.count))
}

private func littleEndian(_ number: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: number.littleEndian) { Array($0) }
}

/// CRC-32 as in RFC 1952, section 8.
private func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
  ~bytes.reduce(~0) { crc, byte in
    checksumTable[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ (crc >> 8)
  }
}

private let checksumTable: [UInt32] = (0..<256).map { byte in
  (0..<8).reduce(UInt32(byte)) { crc, _ in crc & 1 == 1 ? 0xEDB8_8320 ^ (crc >> 1) : crc >> 1 }
}
