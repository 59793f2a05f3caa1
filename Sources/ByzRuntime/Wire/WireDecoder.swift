package import ByzTensor

/// Turns trees back into values, with the bytes of tensors from segments.
package struct WireDecoder: Sendable {
  private let segments: [Segment]
  private let userInfo: [CodingUserInfoKey: any Sendable]

  /// A decoder of the values of one message.
  ///
  /// - Parameter userInfo: What the values find in their decoder, beside the segments.
  package init(segments: [Segment], userInfo: [CodingUserInfoKey: any Sendable] = [:]) {
    self.segments = segments
    self.userInfo = userInfo
  }

  /// The value of a tree.
  ///
  /// - Throws: `DecodingError` when the tree is not one of such a value: another type, a number that does not fit, a missing
  ///   key, a segment that is not there or has another size; what the value throws.
  package func decode<Value: Decodable>(
    _ type: Value.Type, from tree: WireValue
  ) throws -> Value {
    if let value = tree.directly(as: type) { return value }
    let node = DecodingNode(
      tree, run: DecodingRun(segments: segments, userInfo: userInfo), parent: nil, key: nil)
    return try node.decode(type)
  }
}

/// What all nodes of one call of ``WireDecoder/decode(_:from:)`` share.
final class DecodingRun {
  private let segments: [Segment]
  private let given: [CodingUserInfoKey: any Sendable]

  fileprivate init(segments: [Segment], userInfo: [CodingUserInfoKey: any Sendable]) {
    self.segments = segments
    given = userInfo
  }

  /// Made when it is first asked for: most values never do.
  lazy var userInfo: [CodingUserInfoKey: Any] = {
    var userInfo: [CodingUserInfoKey: Any] = given
    userInfo[TensorSegments.key] = TensorSegments(segments)
    return userInfo
  }()
}

/// A value being decoded: the decoder that it is handed.
final class DecodingNode: Decoder {
  let value: WireValue
  let run: DecodingRun
  private let parent: DecodingNode?
  private let key: (any CodingKey)?
  /// Where the last key was found; the next one is mostly behind it.
  private var cursor = 0

  fileprivate init(
    _ value: WireValue, run: DecodingRun, parent: DecodingNode?, key: (any CodingKey)?
  ) {
    (self.value, self.run, self.parent, self.key) = (value, run, parent, key)
  }

  var codingPath: [any CodingKey] {
    let path = parent?.codingPath ?? []
    return if let key { path + [key] } else { path }
  }

  var userInfo: [CodingUserInfoKey: Any] { run.userInfo }

  func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard case .map(let entries) = value else { throw mismatch([String: WireValue].self) }
    return KeyedDecodingContainer(KeyedDecoder<Key>(node: self, entries: entries))
  }

  func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard let elements = value.elements else { throw mismatch([WireValue].self) }
    return UnkeyedDecoder(node: self, elements: elements)
  }

  func singleValueContainer() -> any SingleValueDecodingContainer { self }

  /// The position of a name, looked for from where the last one was found.
  func find(_ name: String, in entries: [WireValue.Entry]) -> Int? {
    for position in cursor..<entries.count where entries[position].key == name {
      cursor = position
      return position
    }
    for position in 0..<min(cursor, entries.count) where entries[position].key == name {
      cursor = position
      return position
    }
    return nil
  }

  private func mismatch(_ type: Any.Type) -> DecodingError {
    DecodingField(value: value, parent: self, key: nil).mismatch(type)
  }
}

/// A value at its place, not yet decoded.
struct DecodingField {
  let value: WireValue
  let parent: DecodingNode
  let key: (any CodingKey)?

  var isNull: Bool { if case .null = value { true } else { false } }

  /// The decoder of the value.
  func node() -> DecodingNode { DecodingNode(value, run: parent.run, parent: parent, key: key) }

  func decode<Value: Decodable>(_ type: Value.Type) throws -> Value {
    if let value = value.directly(as: type) { return value }
    if type == Int.self, let value = try integer() as Int as? Value { return value }
    if type == Double.self, let value = try double() as? Value { return value }
    if type == Float.self, let value = try float() as? Value { return value }
    if type == String.self, let value = try string() as? Value { return value }
    if type == [Int].self,
      let value = numbers({ if case .int(let number) = $0 { Int(exactly: number) } else { nil } })
        as? Value
    {
      return value
    }
    if type == [Double].self,
      let value = numbers({ if case .double(let number) = $0 { number } else { nil } }) as? Value
    {
      return value
    }
    if type == [Float].self,
      let value = numbers({ if case .float(let number) = $0 { number } else { nil } }) as? Value
    {
      return value
    }
    return try Value(from: node())
  }

  /// The numbers of an array if all are of one kind; if not, each has to be looked at, and may be wrong.
  private func numbers<Number>(_ convert: (WireValue) -> Number?) -> [Number]? {
    guard case .array(let values) = value else { return nil }
    var numbers: [Number] = []
    numbers.reserveCapacity(values.count)
    for value in values {
      guard let number = convert(value) else { return nil }
      numbers.append(number)
    }
    return numbers
  }

  func bool() throws -> Bool {
    if case .bool(let value) = value { value } else { throw mismatch(Bool.self) }
  }

  func string() throws -> String {
    if case .string(let value) = value { value } else { throw mismatch(String.self) }
  }

  func float() throws -> Float {
    if case .float(let value) = value { value } else { throw mismatch(Float.self) }
  }

  func double() throws -> Double {
    switch value {
    case .double(let value): value
    case .float(let value): Double(value)
    default: throw mismatch(Double.self)
    }
  }

  func integer<Number: FixedWidthInteger>() throws -> Number {
    let number: Number?
    switch value {
    case .int(let value): number = Number(exactly: value)
    case .unsigned(let value): number = Number(exactly: value)
    default: throw mismatch(Number.self)
    }
    guard let number else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: path, debugDescription: "\(value) does not fit into \(Number.self)."))
    }
    return number
  }

  func mismatch(_ type: Any.Type) -> DecodingError {
    isNull
      ? .valueNotFound(type, .init(codingPath: path, debugDescription: "The value is null."))
      : .typeMismatch(
        type, .init(codingPath: path, debugDescription: "The value is \(value.kind)."))
  }

  private var path: [any CodingKey] {
    if let key { parent.codingPath + [key] } else { parent.codingPath }
  }
}

extension WireValue {
  /// The values that arrays and messages have most, without a decoder of their own, where the tree has their own form; else nil.
  fileprivate func directly<Value: Decodable>(as type: Value.Type) -> Value? {
    // As in the encoder, types are compared before anything is cast.
    switch self {
    case .double(let number): type == Double.self ? number as? Value : nil
    case .float(let number): type == Float.self ? number as? Value : nil
    case .int(let number): type == Int.self ? Int(exactly: number) as? Value : nil
    case .string(let text): type == String.self ? text as? Value : nil
    case .bytes(let bytes): type == [UInt8].self ? bytes as? Value : nil
    case .doubles(let numbers): type == [Double].self ? numbers as? Value : nil
    case .floats(let numbers): type == [Float].self ? numbers as? Value : nil
    case .ints(let numbers):
      type == [Int].self ? numbers.map(Int.init(truncatingIfNeeded:)) as? Value : nil
    case .null, .bool, .unsigned, .array, .map: nil
    }
  }

  /// What the value is, for error messages, without its contents, which may be long.
  fileprivate var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a truth value"
    case .int: "an integer"
    case .unsigned: "an unsigned integer"
    case .float: "a number in single precision"
    case .double: "a number in double precision"
    case .string: "text"
    case .bytes: "bytes"
    case .array, .doubles, .floats, .ints: "an array"
    case .map: "a map"
    }
  }
}
