/// A value as it travels: a tree of tagged values, each in exactly one binary form.
///
/// `docs/wire-format.md` lists the tags. Because every form is canonical, parsing what was serialized gives the same tree, and
/// serializing what was parsed the same bytes.
package enum WireValue: Hashable, Sendable {
  /// Nothing; an optional without a value.
  case null
  /// A truth value.
  case bool(Bool)
  /// A number of a signed type.
  case int(Int64)
  /// A number of an unsigned type.
  case unsigned(UInt64)
  /// A number in single precision, with all its bits.
  case float(Float)
  /// A number in double precision, with all its bits.
  case double(Double)
  /// Text.
  case string(String)
  /// Raw bytes.
  case bytes([UInt8])
  /// Values in order.
  case array([WireValue])
  /// Numbers of an array in double precision, with all their bits.
  case doubles([Double])
  /// Numbers of an array of a signed type.
  case ints([Int64])
  /// Numbers of an array in single precision, with all their bits.
  case floats([Float])
  /// Values with names, in the order in which they were written; no name comes twice.
  case map([Entry])

  /// A value with its name.
  package struct Entry: Hashable, Sendable {
    package var key: String
    package var value: WireValue

    package init(key: String, value: WireValue) {
      self.key = key
      self.value = value
    }
  }

  /// The value of a map with this name; nil when there is none or this is no map.
  package subscript(key: String) -> WireValue? {
    guard case .map(let entries) = self else { return nil }
    return entries.first { $0.key == key }?.value
  }

  var isArray: Bool {
    switch self {
    case .array, .doubles, .floats, .ints: true
    default: false
    }
  }

  /// The values of an array, however they are written.
  var elements: [WireValue]? {
    switch self {
    case .array(let values): values
    case .doubles(let numbers): numbers.map(WireValue.double)
    case .floats(let numbers): numbers.map(WireValue.float)
    case .ints(let numbers): numbers.map(WireValue.int)
    default: nil
    }
  }

  /// The byte before a value that says what follows.
  enum Tag: UInt8 {
    case null = 0
    case `false` = 1
    case `true` = 2
    case int = 3
    case unsigned = 4
    case float = 5
    case double = 6
    case string = 7
    case bytes = 8
    case array = 9
    case map = 10
    case doubles = 11
    case floats = 12
    case ints = 13
  }
}

extension [WireValue.Entry] {
  /// A name that two entries have, or nil.
  var duplicateKey: String? {
    if count <= 8 {
      for i in indices.dropFirst() {
        for j in 0..<i where self[i].key == self[j].key { return self[i].key }
      }
      return nil
    }
    var keys = Set<String>(minimumCapacity: count)
    return first { !keys.insert($0.key).inserted }?.key
  }
}
