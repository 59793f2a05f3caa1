package import ByzTensor

/// Turns values into trees, with the bytes of tensors beside them.
///
/// One encoder makes one message: several values may be encoded in turn, and their tensors share ``segments``.
package struct WireEncoder: Sendable {
  /// The bytes of the tensors encoded so far, not copied.
  package private(set) var segments: [Segment] = []
  private let maximumDepth: Int

  /// An encoder without segments.
  ///
  /// - Parameter limits: Their `depth` is that of the receiver, who would refuse what is nested deeper.
  package init(limits: WireLimits = WireLimits()) { maximumDepth = limits.depth }

  /// The tree of a value.
  ///
  /// - Throws: `EncodingError` when the value is nested deeper than the limit, encodes two values for one key, or has a 128-bit
  ///   integer; what the value throws. The segments are then as before.
  package mutating func encode(_ value: some Encodable) throws -> WireValue {
    let run = EncodingRun(segments: segments, maximumDepth: maximumDepth)
    // The tensors' segments are appended in place.
    segments = []
    let count = run.segments.list.count
    do {
      let tree = try run.tree(of: value)
      segments = run.segments.list
      return tree
    } catch {
      segments = Array(run.segments.list.prefix(count))
      throw error
    }
  }
}

/// What all nodes of one call of ``WireEncoder/encode(_:)`` share.
final class EncodingRun {
  let segments: TensorSegments
  let maximumDepth: Int
  /// Made when it is first asked for: only tensors do.
  fileprivate lazy var userInfo: [CodingUserInfoKey: Any] = [TensorSegments.key: segments]
  /// What went wrong where nothing can be thrown.
  fileprivate(set) var failure: EncodingError?

  fileprivate init(segments: [Segment], maximumDepth: Int) {
    self.segments = TensorSegments(segments)
    self.maximumDepth = maximumDepth
  }

  fileprivate func tree<Value: Encodable>(of value: Value) throws -> WireValue {
    if let tree = try directTree(of: value, depth: 0, path: []) { return tree }
    let root = EncodingNode(self)
    try value.encode(to: root)
    return try root.finished()
  }

  /// The tree of a value that needs no encoder.
  fileprivate func directTree<Value: Encodable>(
    of value: Value, depth: Int, path: @autoclosure () -> [any CodingKey]
  ) throws -> WireValue? {
    let tree = WireValue(directly: value)
    if depth >= maximumDepth, tree?.isArray == true { throw tooDeep(path()) }
    return tree
  }

  fileprivate func tooDeep(_ path: [any CodingKey]) -> EncodingError {
    .invalidValue(
      path.count,
      .init(
        codingPath: path,
        debugDescription: "Values are nested deeper than WireLimits.depth, \(maximumDepth)."))
  }
}

/// A value in progress: the encoder that it is handed, and what it has written so far.
final class EncodingNode: Encoder {
  enum Form { case empty, single, array, map }

  let run: EncodingRun
  /// Where the value is: below `parent`, which waits for it, or at `base`; then at `key`.
  private let parent: EncodingNode?
  private let base: [any CodingKey]
  private let key: (any CodingKey)?
  /// How many arrays and maps are around it.
  private let depth: Int

  private(set) var form = Form.empty
  private var single = WireValue.null
  private(set) var elements: [WireValue] = []
  private var entries: [WireValue.Entry] = []
  /// Values that are written later than they were asked for, and their places among elements or entries.
  private var later: [(position: Int, node: EncodingNode)] = []

  fileprivate init(
    _ run: EncodingRun, parent: EncodingNode? = nil, base: [any CodingKey] = [],
    key: (any CodingKey)? = nil, depth: Int = 0
  ) {
    (self.run, self.parent, self.base, self.key, self.depth) = (run, parent, base, key, depth)
  }

  var codingPath: [any CodingKey] {
    let path = parent?.codingPath ?? base
    return if let key { path + [key] } else { path }
  }

  var userInfo: [CodingUserInfoKey: Any] { run.userInfo }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    become(.map)
    return KeyedEncodingContainer(KeyedEncoder<Key>(node: self))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    become(.array)
    return UnkeyedEncoder(node: self)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer { self }

  func become(_ form: Form) {
    precondition(
      self.form == .empty || (self.form == form && form != .single),
      "A value asks its encoder for one kind of container and encodes one single value.")
    self.form = form
    if form != .single, depth >= run.maximumDepth, run.failure == nil {
      run.failure = run.tooDeep(codingPath)
    }
  }

  // MARK: - Writing

  func set(_ value: WireValue) {
    become(.single)
    single = value
  }

  func append(_ value: WireValue) { elements.append(value) }

  func put(_ value: WireValue, _ key: some CodingKey) {
    entries.append(WireValue.Entry(key: key.stringValue, value: value))
  }

  /// The tree of a value inside of this one.
  func tree<Value: Encodable>(of value: Value, key: (any CodingKey)?) throws -> WireValue {
    if let failure = run.failure { throw failure }
    let depth = form == .empty ? depth : depth + 1
    if let tree = try run.directTree(of: value, depth: depth, path: codingPath) { return tree }
    let node = EncodingNode(run, parent: self, key: key, depth: depth)
    try value.encode(to: node)
    return try node.finished()
  }

  /// A node for a value that is written later.
  func appendLater() -> EncodingNode {
    let node = EncodingNode(
      run, base: codingPath, key: PositionKey(elements.count), depth: depth + 1)
    later.append((elements.count, node))
    elements.append(.null)
    return node
  }

  func putLater(_ key: any CodingKey) -> EncodingNode {
    let node = EncodingNode(run, base: codingPath, key: key, depth: depth + 1)
    later.append((entries.count, node))
    entries.append(WireValue.Entry(key: key.stringValue, value: .null))
    return node
  }

  /// What was written.
  func finished() throws -> WireValue {
    if let failure = run.failure { throw failure }
    switch form {
    case .single: return single
    case .array:
      for (position, node) in later { elements[position] = try node.finished() }
      return .array(elements)
    case .map, .empty:
      for (position, node) in later { entries[position].value = try node.finished() }
      if let key = entries.duplicateKey {
        throw EncodingError.invalidValue(
          key,
          .init(codingPath: codingPath, debugDescription: "The key \"\(key)\" is encoded twice."))
      }
      return .map(entries)
    }
  }
}

extension WireValue {
  /// The values that arrays and messages have most, without an encoder of their own.
  fileprivate init?<Value: Encodable>(directly value: Value) {
    // The casts succeed where the types are the same, and cost much more than to compare them.
    if Value.self == Int.self, let value = value as? Int {
      self = .int(Int64(value))
    } else if Value.self == Double.self, let value = value as? Double {
      self = .double(value)
    } else if Value.self == Float.self, let value = value as? Float {
      self = .float(value)
    } else if Value.self == String.self, let value = value as? String {
      self = .string(value)
    } else if Value.self == [UInt8].self, let value = value as? [UInt8] {
      self = .bytes(value)
    } else if Value.self == [Int].self, let value = value as? [Int] {
      self = .ints(value.map(Int64.init))
    } else if Value.self == [Double].self, let value = value as? [Double] {
      self = .doubles(value)
    } else if Value.self == [Float].self, let value = value as? [Float] {
      self = .floats(value)
    } else {
      return nil
    }
  }
}

/// The key of a position in an array, or of the superclass's part of a value.
struct PositionKey: CodingKey {
  let intValue: Int?

  init(_ position: Int?) { intValue = position }
  init?(intValue: Int) { self.intValue = intValue }
  init?(stringValue: String) { nil }

  var stringValue: String { intValue.map { "Index \($0)" } ?? "super" }
}
