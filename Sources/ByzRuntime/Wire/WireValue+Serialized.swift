extension WireValue {
  /// The value's bytes.
  package func serialized() -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(128)
    append(to: &bytes)
    return bytes
  }

  private func append(to bytes: inout [UInt8]) {
    switch self {
    case .null: bytes.append(.null)
    case .bool(let value): bytes.append(value ? .true : .false)
    case .int(let value):
      bytes.append(.int)
      // The sign goes to the lowest bit, so that numbers near 0 are short.
      bytes.append(varint: UInt64(bitPattern: value << 1 ^ value >> 63))
    case .unsigned(let value):
      bytes.append(.unsigned)
      bytes.append(varint: value)
    case .float(let value):
      bytes.append(.float)
      bytes.append(littleEndian: value.bitPattern)
    case .double(let value):
      bytes.append(.double)
      bytes.append(littleEndian: value.bitPattern)
    case .string(let value):
      bytes.append(.string)
      bytes.append(text: value)
    case .bytes(let value):
      bytes.append(.bytes)
      bytes.append(varint: UInt64(value.count))
      bytes.append(contentsOf: value)
    case .array(let values):
      bytes.append(.array)
      bytes.append(varint: UInt64(values.count))
      for value in values { value.append(to: &bytes) }
    case .doubles(let numbers):
      bytes.append(.doubles)
      bytes.append(littleEndian: numbers, \.bitPattern)
    case .floats(let numbers):
      bytes.append(.floats)
      bytes.append(littleEndian: numbers, \.bitPattern)
    case .ints(let numbers):
      bytes.append(.ints)
      bytes.append(littleEndian: numbers, \.self)
    case .map(let entries):
      bytes.append(.map)
      bytes.append(varint: UInt64(entries.count))
      for entry in entries {
        bytes.append(text: entry.key)
        entry.value.append(to: &bytes)
      }
    }
  }
}

extension [UInt8] {
  fileprivate mutating func append(_ tag: WireValue.Tag) { append(tag.rawValue) }

  /// Seven bits a byte, lowest first; the highest bit says that more follow.
  fileprivate mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(rest))
  }

  fileprivate mutating func append(littleEndian value: some FixedWidthInteger & BitwiseCopyable) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }

  /// The number of numbers, and each of them.
  fileprivate mutating func append<Number: BitwiseCopyable, Bits: FixedWidthInteger>(
    littleEndian numbers: [Number], _ bits: (Number) -> Bits
  ) {
    append(varint: UInt64(numbers.count))
    #if _endian(little)
      numbers.withUnsafeBytes { append(contentsOf: $0) }
    #else
      for number in numbers { append(littleEndian: bits(number)) }
    #endif
  }

  fileprivate mutating func append(text: String) {
    var text = text
    text.withUTF8 {
      append(varint: UInt64($0.count))
      append(contentsOf: $0)
    }
  }
}
