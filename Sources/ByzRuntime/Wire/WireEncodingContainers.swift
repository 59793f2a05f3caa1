/// A map in progress.
struct KeyedEncoder<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let node: EncodingNode

  var codingPath: [any CodingKey] { node.codingPath }

  func encodeNil(forKey key: Key) { node.put(.null, key) }
  func encode(_ value: Bool, forKey key: Key) { node.put(.bool(value), key) }
  func encode(_ value: String, forKey key: Key) { node.put(.string(value), key) }
  func encode(_ value: Double, forKey key: Key) { node.put(.double(value), key) }
  func encode(_ value: Float, forKey key: Key) { node.put(.float(value), key) }
  func encode(_ value: Int, forKey key: Key) { node.put(.int(Int64(value)), key) }
  func encode(_ value: Int8, forKey key: Key) { node.put(.int(Int64(value)), key) }
  func encode(_ value: Int16, forKey key: Key) { node.put(.int(Int64(value)), key) }
  func encode(_ value: Int32, forKey key: Key) { node.put(.int(Int64(value)), key) }
  func encode(_ value: Int64, forKey key: Key) { node.put(.int(Int64(value)), key) }
  func encode(_ value: UInt, forKey key: Key) { node.put(.unsigned(UInt64(value)), key) }
  func encode(_ value: UInt8, forKey key: Key) { node.put(.unsigned(UInt64(value)), key) }
  func encode(_ value: UInt16, forKey key: Key) { node.put(.unsigned(UInt64(value)), key) }
  func encode(_ value: UInt32, forKey key: Key) { node.put(.unsigned(UInt64(value)), key) }
  func encode(_ value: UInt64, forKey key: Key) { node.put(.unsigned(UInt64(value)), key) }

  func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
    node.put(try node.tree(of: value, key: key), key)
  }

  func nestedContainer<NestedKey: CodingKey>(
    keyedBy keyType: NestedKey.Type, forKey key: Key
  ) -> KeyedEncodingContainer<NestedKey> {
    node.putLater(key).container(keyedBy: keyType)
  }

  func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    node.putLater(key).unkeyedContainer()
  }

  func superEncoder() -> any Encoder { node.putLater(PositionKey(nil)) }

  func superEncoder(forKey key: Key) -> any Encoder { node.putLater(key) }
}

/// An array in progress.
struct UnkeyedEncoder: UnkeyedEncodingContainer {
  let node: EncodingNode

  var codingPath: [any CodingKey] { node.codingPath }
  var count: Int { node.elements.count }

  func encodeNil() { node.append(.null) }
  func encode(_ value: Bool) { node.append(.bool(value)) }
  func encode(_ value: String) { node.append(.string(value)) }
  func encode(_ value: Double) { node.append(.double(value)) }
  func encode(_ value: Float) { node.append(.float(value)) }
  func encode(_ value: Int) { node.append(.int(Int64(value))) }
  func encode(_ value: Int8) { node.append(.int(Int64(value))) }
  func encode(_ value: Int16) { node.append(.int(Int64(value))) }
  func encode(_ value: Int32) { node.append(.int(Int64(value))) }
  func encode(_ value: Int64) { node.append(.int(Int64(value))) }
  func encode(_ value: UInt) { node.append(.unsigned(UInt64(value))) }
  func encode(_ value: UInt8) { node.append(.unsigned(UInt64(value))) }
  func encode(_ value: UInt16) { node.append(.unsigned(UInt64(value))) }
  func encode(_ value: UInt32) { node.append(.unsigned(UInt64(value))) }
  func encode(_ value: UInt64) { node.append(.unsigned(UInt64(value))) }

  func encode<T: Encodable>(_ value: T) throws {
    node.append(try node.tree(of: value, key: PositionKey(count)))
  }

  func nestedContainer<NestedKey: CodingKey>(
    keyedBy keyType: NestedKey.Type
  ) -> KeyedEncodingContainer<NestedKey> {
    node.appendLater().container(keyedBy: keyType)
  }

  func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
    node.appendLater().unkeyedContainer()
  }

  func superEncoder() -> any Encoder { node.appendLater() }
}

extension EncodingNode: SingleValueEncodingContainer {
  func encodeNil() { set(.null) }
  func encode(_ value: Bool) { set(.bool(value)) }
  func encode(_ value: String) { set(.string(value)) }
  func encode(_ value: Double) { set(.double(value)) }
  func encode(_ value: Float) { set(.float(value)) }
  func encode(_ value: Int) { set(.int(Int64(value))) }
  func encode(_ value: Int8) { set(.int(Int64(value))) }
  func encode(_ value: Int16) { set(.int(Int64(value))) }
  func encode(_ value: Int32) { set(.int(Int64(value))) }
  func encode(_ value: Int64) { set(.int(Int64(value))) }
  func encode(_ value: UInt) { set(.unsigned(UInt64(value))) }
  func encode(_ value: UInt8) { set(.unsigned(UInt64(value))) }
  func encode(_ value: UInt16) { set(.unsigned(UInt64(value))) }
  func encode(_ value: UInt32) { set(.unsigned(UInt64(value))) }
  func encode(_ value: UInt64) { set(.unsigned(UInt64(value))) }

  func encode<T: Encodable>(_ value: T) throws { set(try tree(of: value, key: nil)) }
}
