/// The entries of a map.
struct KeyedDecoder<Key: CodingKey>: KeyedDecodingContainerProtocol {
  let node: DecodingNode
  let entries: [WireValue.Entry]

  var codingPath: [any CodingKey] { node.codingPath }
  var allKeys: [Key] { entries.compactMap { Key(stringValue: $0.key) } }

  func contains(_ key: Key) -> Bool { node.find(key.stringValue, in: entries) != nil }

  func decodeNil(forKey key: Key) throws -> Bool { try field(key).isNull }
  func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try field(key).bool() }
  func decode(_ type: String.Type, forKey key: Key) throws -> String { try field(key).string() }
  func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try field(key).double() }
  func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try field(key).float() }
  func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try field(key).integer() }
  func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try field(key).integer() }
  func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try field(key).integer() }
  func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try field(key).integer() }
  func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try field(key).integer() }
  func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try field(key).integer() }
  func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try field(key).integer() }
  func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try field(key).integer() }
  func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try field(key).integer() }
  func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try field(key).integer() }

  func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T {
    try field(key).decode(type)
  }

  func nestedContainer<NestedKey: CodingKey>(
    keyedBy type: NestedKey.Type, forKey key: Key
  ) throws -> KeyedDecodingContainer<NestedKey> {
    try field(key).node().container(keyedBy: type)
  }

  func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
    try field(key).node().unkeyedContainer()
  }

  func superDecoder() throws -> any Decoder { try field(PositionKey(nil)).node() }

  func superDecoder(forKey key: Key) throws -> any Decoder { try field(key).node() }

  private func field(_ key: some CodingKey) throws -> DecodingField {
    guard let position = node.find(key.stringValue, in: entries) else {
      throw DecodingError.keyNotFound(
        key, .init(codingPath: codingPath, debugDescription: "There is no \"\(key.stringValue)\"."))
    }
    return DecodingField(value: entries[position].value, parent: node, key: key)
  }
}

/// The elements of an array.
struct UnkeyedDecoder: UnkeyedDecodingContainer {
  let node: DecodingNode
  let elements: [WireValue]
  private(set) var currentIndex = 0

  init(node: DecodingNode, elements: [WireValue]) {
    self.node = node
    self.elements = elements
  }

  var codingPath: [any CodingKey] { node.codingPath }
  var count: Int? { elements.count }
  var isAtEnd: Bool { currentIndex == elements.count }

  mutating func decodeNil() throws -> Bool {
    // What is not null stays where it is, to be decoded.
    guard try field().isNull else { return false }
    currentIndex += 1
    return true
  }
  mutating func decode(_ type: Bool.Type) throws -> Bool { try take { try $0.bool() } }
  mutating func decode(_ type: String.Type) throws -> String { try take { try $0.string() } }
  mutating func decode(_ type: Double.Type) throws -> Double { try take { try $0.double() } }
  mutating func decode(_ type: Float.Type) throws -> Float { try take { try $0.float() } }
  mutating func decode(_ type: Int.Type) throws -> Int { try take { try $0.integer() } }
  mutating func decode(_ type: Int8.Type) throws -> Int8 { try take { try $0.integer() } }
  mutating func decode(_ type: Int16.Type) throws -> Int16 { try take { try $0.integer() } }
  mutating func decode(_ type: Int32.Type) throws -> Int32 { try take { try $0.integer() } }
  mutating func decode(_ type: Int64.Type) throws -> Int64 { try take { try $0.integer() } }
  mutating func decode(_ type: UInt.Type) throws -> UInt { try take { try $0.integer() } }
  mutating func decode(_ type: UInt8.Type) throws -> UInt8 { try take { try $0.integer() } }
  mutating func decode(_ type: UInt16.Type) throws -> UInt16 { try take { try $0.integer() } }
  mutating func decode(_ type: UInt32.Type) throws -> UInt32 { try take { try $0.integer() } }
  mutating func decode(_ type: UInt64.Type) throws -> UInt64 { try take { try $0.integer() } }

  mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
    try take { try $0.decode(type) }
  }

  mutating func nestedContainer<NestedKey: CodingKey>(
    keyedBy type: NestedKey.Type
  ) throws -> KeyedDecodingContainer<NestedKey> {
    try take { try $0.node().container(keyedBy: type) }
  }

  mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
    try take { try $0.node().unkeyedContainer() }
  }

  mutating func superDecoder() throws -> any Decoder { try take { $0.node() } }

  /// Goes on to the next element once this one is decoded.
  private mutating func take<R>(_ decode: (DecodingField) throws -> R) throws -> R {
    let result = try decode(field())
    currentIndex += 1
    return result
  }

  private func field() throws -> DecodingField {
    let key = PositionKey(currentIndex)
    guard !isAtEnd else {
      throw DecodingError.valueNotFound(
        WireValue.self,
        .init(
          codingPath: codingPath + [key],
          debugDescription: "The array has only \(elements.count) elements."))
    }
    return DecodingField(value: elements[currentIndex], parent: node, key: key)
  }
}

extension DecodingNode: SingleValueDecodingContainer {
  private var field: DecodingField { DecodingField(value: value, parent: self, key: nil) }

  func decodeNil() -> Bool { field.isNull }
  func decode(_ type: Bool.Type) throws -> Bool { try field.bool() }
  func decode(_ type: String.Type) throws -> String { try field.string() }
  func decode(_ type: Double.Type) throws -> Double { try field.double() }
  func decode(_ type: Float.Type) throws -> Float { try field.float() }
  func decode(_ type: Int.Type) throws -> Int { try field.integer() }
  func decode(_ type: Int8.Type) throws -> Int8 { try field.integer() }
  func decode(_ type: Int16.Type) throws -> Int16 { try field.integer() }
  func decode(_ type: Int32.Type) throws -> Int32 { try field.integer() }
  func decode(_ type: Int64.Type) throws -> Int64 { try field.integer() }
  func decode(_ type: UInt.Type) throws -> UInt { try field.integer() }
  func decode(_ type: UInt8.Type) throws -> UInt8 { try field.integer() }
  func decode(_ type: UInt16.Type) throws -> UInt16 { try field.integer() }
  func decode(_ type: UInt32.Type) throws -> UInt32 { try field.integer() }
  func decode(_ type: UInt64.Type) throws -> UInt64 { try field.integer() }

  func decode<T: Decodable>(_ type: T.Type) throws -> T { try field.decode(type) }
}
