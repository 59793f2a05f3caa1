import ByzKit

/// The header of `bytes`, or why it is none.
public func npyHeader(
  _ bytes: UnsafeRawBufferPointer, fileByteCount: Int? = nil
) -> Result<NpyHeader, NpyError> {
  Result { () throws(NpyError) in try NpyHeader.parse(bytes, fileByteCount: fileByteCount) }
}

/// A version 1.0 file with `dictionary` and no numbers: its length is right however the dictionary
/// was changed, so that the input gets past the first few bytes.
public func npyFile(dictionary: UnsafeRawBufferPointer) -> [UInt8] {
  let length = UInt16(dictionary.count)
  return [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0, UInt8(length & 0xFF), UInt8(length >> 8)]
    + Array(dictionary)
}
