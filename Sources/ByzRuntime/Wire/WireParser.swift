extension WireValue {
  /// Parses the bytes of exactly one value.
  ///
  /// Takes memory in proportion to the bytes that are there, whatever counts they claim, and at most about `limits.decoded`.
  ///
  /// - Throws: ``RuntimeError/Code/malformedMessage`` when the bytes are too many or too few, exceed `limits.body`,
  ///   `limits.depth` or `limits.decoded`, or are not the one form that the value has: an unknown tag, a number with needless bytes, text that is not
  ///   UTF-8, a name that comes twice.
  package init(
    parsing bytes: [UInt8], limits: WireLimits = WireLimits()
  ) throws(RuntimeError) {
    guard bytes.count <= limits.body else {
      throw .tooMuch(bytes.count, "bytes of body", limit: limits.body, "WireLimits.body")
    }
    let result = bytes.withUnsafeBytes { buffer in
      Result { () throws(RuntimeError) in
        var parser = WireParser(bytes: buffer, limits: limits)
        let value = try parser.value(depth: 0)
        guard parser.remaining == 0 else {
          throw .malformed(
            "\(parser.remaining) bytes follow the value, which ends at \(parser.position).")
        }
        return value
      }
    }
    self = try result.get()
  }
}

/// Reads values one after the other from bytes.
private struct WireParser {
  let bytes: UnsafeRawBufferPointer
  let limits: WireLimits
  var position = 0
  /// What the values so far take, about.
  private var taken = 0

  init(bytes: UnsafeRawBufferPointer, limits: WireLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  var remaining: Int { bytes.count - position }

  /// The next value, which is inside of `depth` arrays and maps.
  mutating func value(depth: Int) throws(RuntimeError) -> WireValue {
    let rawTag = try byte()
    guard let tag = WireValue.Tag(rawValue: rawTag) else {
      throw .malformed("Byte \(position - 1) is \(rawTag), which is no tag of a value.")
    }
    switch tag {
    case .null: return .null
    case .false: return .bool(false)
    case .true: return .bool(true)
    case .int:
      let value = try varint()
      return .int(Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1))
    case .unsigned: return .unsigned(try varint())
    case .float: return .float(Float(bitPattern: try number()))
    case .double: return .double(Double(bitPattern: try number()))
    case .string: return .string(try text())
    case .bytes: return .bytes(Array(try run()))
    case .array: return .array(try elements(depth: depth + 1))
    case .map: return .map(try entries(depth: depth + 1))
    case .doubles:
      return .doubles(
        try numbers(depth: depth + 1) { Double(bitPattern: UInt64(littleEndian: $0)) })
    case .floats:
      return .floats(try numbers(depth: depth + 1) { Float(bitPattern: UInt32(littleEndian: $0)) })
    case .ints: return .ints(try numbers(depth: depth + 1) { Int64(littleEndian: $0) })
    }
  }

  private mutating func elements(depth: Int) throws(RuntimeError) -> [WireValue] {
    let count = try count(ofItemsOfAtLeast: 1, depth: depth)
    try take(count * MemoryLayout<WireValue>.stride)
    var values: [WireValue] = []
    values.reserveCapacity(min(count, Self.trusted))
    for _ in 0..<count { values.append(try value(depth: depth)) }
    return values
  }

  private mutating func numbers<Bits: FixedWidthInteger & BitwiseCopyable, Number>(
    depth: Int, _ number: (Bits) -> Number
  ) throws(RuntimeError) -> [Number] {
    let size = MemoryLayout<Bits>.size
    let count = try count(ofItemsOfAtLeast: size, depth: depth)
    // The array that all empty ones share must not be written.
    guard count > 0 else { return [] }
    try take(count * size)
    defer { position += count * size }
    return [Number](unsafeUninitializedCapacity: count) { numbers, initialized in
      for i in 0..<count {
        numbers.initializeElement(
          at: i, to: number(bytes.loadUnaligned(fromByteOffset: position + i * size, as: Bits.self))
        )
      }
      initialized = count
    }
  }

  private mutating func entries(depth: Int) throws(RuntimeError) -> [WireValue.Entry] {
    let count = try count(ofItemsOfAtLeast: 2, depth: depth)
    // With the set that finds names that come twice.
    try take(count * (MemoryLayout<WireValue.Entry>.stride + 2 * MemoryLayout<String>.stride))
    var entries: [WireValue.Entry] = []
    entries.reserveCapacity(min(count, Self.trusted))
    for _ in 0..<count {
      let key = try text()
      entries.append(WireValue.Entry(key: key, value: try value(depth: depth)))
    }
    if let key = entries.duplicateKey {
      throw .malformed("A map that ends at byte \(position) has the name \"\(key)\" twice.")
    }
    return entries
  }

  /// Counts memory before it is taken.
  private mutating func take(_ byteCount: Int) throws(RuntimeError) {
    taken += byteCount
    guard taken <= limits.decoded else {
      throw .malformed(
        "The values up to byte \(position) take more than WireLimits.decoded, \(limits.decoded) bytes."
      )
    }
  }

  /// Room that a count gets before the items are there: maps within maps could claim all that is left, each of them.
  private static let trusted = 64

  private mutating func count(
    ofItemsOfAtLeast byteCount: Int, depth: Int
  ) throws(RuntimeError) -> Int {
    guard depth <= limits.depth else {
      throw .malformed(
        "Values are nested deeper than WireLimits.depth, \(limits.depth), at byte \(position - 1).")
    }
    let count = try varint()
    guard count <= UInt64(remaining / byteCount) else { throw ended(after: count, "items") }
    return Int(count)
  }

  private mutating func text() throws(RuntimeError) -> String {
    let start = position
    guard let text = String(validating: try run(), as: UTF8.self) else {
      throw .malformed("The text at byte \(start) is not UTF-8.")
    }
    return text
  }

  /// Bytes whose number stands before them.
  private mutating func run() throws(RuntimeError) -> Slice<UnsafeRawBufferPointer> {
    let count = try varint()
    guard count <= UInt64(remaining) else { throw ended(after: count, "bytes") }
    try take(Int(count) + 32)
    defer { position += Int(count) }
    return bytes[position..<position + Int(count)]
  }

  private mutating func number<Bits: FixedWidthInteger & BitwiseCopyable>() throws(RuntimeError)
    -> Bits
  {
    let count = MemoryLayout<Bits>.size
    guard count <= remaining else { throw ended(after: UInt64(count), "bytes") }
    defer { position += count }
    return bytes.number(at: position)
  }

  private mutating func varint() throws(RuntimeError) -> UInt64 {
    let start = position
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let next = try byte()
      // The tenth byte holds the last of 64 bits.
      guard shift < 63 || next <= 1 else {
        throw .malformed("The number at byte \(start) has more than 64 bits.")
      }
      value |= UInt64(next & 0x7F) << shift
      if next < 0x80 {
        guard next > 0 || shift == 0 else {
          throw .malformed("The number at byte \(start) has needless bytes.")
        }
        return value
      }
      shift += 7
    }
  }

  private mutating func byte() throws(RuntimeError) -> UInt8 {
    guard position < bytes.count else { throw ended(after: 1, "bytes") }
    defer { position += 1 }
    return bytes[position]
  }

  private func ended(after count: UInt64, _ what: String) -> RuntimeError {
    .malformed(
      "\(count) \(what) are announced at byte \(position), but \(remaining) bytes are left.")
  }
}
