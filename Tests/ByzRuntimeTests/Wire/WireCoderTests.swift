import ByzRuntime
import ByzTensor
import Testing

@Suite("WireEncoder and WireDecoder", .timeLimit(.minutes(3)))
struct WireCoderTests {
  /// What comes back through bytes.
  private func sent<Value: Codable>(_ value: Value) throws -> Value {
    var encoder = WireEncoder()
    let tree = try encoder.encode(value)
    let received = try WireValue(parsing: tree.serialized())
    #expect(received == tree)
    return try WireDecoder(segments: encoder.segments).decode(Value.self, from: received)
  }

  private func expectBack<Value: Codable & Equatable>(_ value: Value) throws {
    #expect(try sent(value) == value)
  }

  // MARK: - Laws

  struct Everything: Codable, Equatable {
    var bool = true
    var string = "é本"
    var (float, double): (Float, Double) = (.infinity, -.leastNonzeroMagnitude)
    var (int, int8, int16): (Int, Int8, Int16) = (.min, .min, .max)
    var (int32, int64): (Int32, Int64) = (.min, .max)
    var (uint, uint8, uint16): (UInt, UInt8, UInt16) = (.max, .max, 0)
    var (uint32, uint64): (UInt32, UInt64) = (.max, .max)
    var (none, some): (Int?, String?) = (nil, "")
    var bytes: [UInt8] = [0, 255]
    var rows: [[Int16]] = [[1], [], [-2, 3]]
    var byName = ["a": 1.5, "b": .nan.magnitude, "": 0].filter { !$0.value.isNaN }
    var byNumber = [1: "one", -2: "two"]
    var byChoice = [Choice.left(1): true]
    var choices: [Choice] = [.none, .left(-7), .both(name: "x", 2), .nested(.left(3))]
    var set: Set<UInt8> = [1, 2]
    var limited: Duration? = .microseconds(3)
    var range = 3..<9
  }

  indirect enum Choice: Codable, Hashable {
    case none
    case left(Int)
    case both(name: String, UInt8)
    case nested(Choice)
  }

  @Test("give back structures of all kinds of values")
  func everything() throws {
    try expectBack(Everything())
    try expectBack([Everything()])
    try expectBack(["": Everything(), "x": Everything()])
  }

  @Test("give back single values, nothing, and arrays of the widths of numbers")
  func single() throws {
    try expectBack(5)
    try expectBack("text")
    try expectBack(nil as Int?)
    try expectBack(3.5 as Double?)
    try expectBack([1, nil, 3] as [Int?])
    try expectBack([Float(1), -0.5])
    try expectBack([1.0, .pi])
    try expectBack([true, false])
    try expectBack([UInt8](0...255))
    try expectBack([Int8](-128...127))
    try expectBack([UInt64.max, 0])
    try expectBack([String]())
    try expectBack(RandomKey(7))
  }

  @Test("give back values that are equal for 200 random dictionaries")
  func random() throws {
    var draws = Draws(8)
    for _ in 0..<200 {
      var value: [String: [Int: [Double?]]] = [:]
      for _ in 0..<draws.below(20) {
        var inner: [Int: [Double?]] = [:]
        for _ in 0..<draws.below(4) {
          inner[Int(bitPattern: UInt(draws.next()))] = (0..<draws.below(4)).map { _ in
            draws.below(3) == 0 ? nil : Double(draws.next())
          }
        }
        value["\(draws.next())"] = inner
      }
      try expectBack(value)
    }
  }

  class Animal: Codable {
    var legs = 4
  }

  final class Dog: Animal {
    var name = ""

    override init() { super.init() }

    private enum Key: CodingKey { case name }

    override func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Key.self)
      try super.encode(to: container.superEncoder())
      try container.encode(name, forKey: .name)
    }

    required init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: Key.self)
      name = try container.decode(String.self, forKey: .name)
      try super.init(from: container.superDecoder())
    }
  }

  @Test("give a superclass its own part")
  func classes() throws {
    let dog = Dog()
    (dog.name, dog.legs) = ("Rex", 3)
    let back = try sent(dog)
    #expect(back.name == "Rex" && back.legs == 3)
  }

  /// Writes its parts by containers within containers, in the wrong order.
  struct Nested: Codable, Equatable {
    var (a, b, c) = (1, "b", [true])

    private enum Key: CodingKey { case outer, list }

    init() {}

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Key.self)
      var outer = container.nestedContainer(keyedBy: Key.self, forKey: .outer)
      var list = container.nestedUnkeyedContainer(forKey: .list)
      try list.encodeNil()
      var inner = list.nestedUnkeyedContainer()
      var last = list.nestedContainer(keyedBy: Key.self)
      try c.encode(to: list.superEncoder())
      try last.encode(b, forKey: .list)
      try inner.encode(a)
      try outer.encodeNil(forKey: .list)
      #expect(list.count == 4)
    }

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: Key.self)
      let outer = try container.nestedContainer(keyedBy: Key.self, forKey: .outer)
      #expect(try outer.decodeNil(forKey: .list))
      #expect(outer.allKeys == [.list])
      var list = try container.nestedUnkeyedContainer(forKey: .list)
      #expect(try list.decodeNil())
      #expect(try !list.decodeNil())
      var inner = try list.nestedUnkeyedContainer()
      a = try inner.decode(Int.self)
      b = try list.nestedContainer(keyedBy: Key.self).decode(String.self, forKey: .list)
      c = try [Bool](from: list.superDecoder())
      #expect(list.isAtEnd)
      #expect(throws: DecodingError.self) { try list.decode(Int.self) }
    }
  }

  @Test("let containers within containers be written in any order")
  func nested() throws { try expectBack(Nested()) }

  // MARK: - Refusals

  private func decoding<Value: Decodable>(_ type: Value.Type, _ value: WireValue) -> DecodingError?
  {
    do {
      _ = try WireDecoder(segments: []).decode(type, from: value)
      return nil
    } catch {
      return error as? DecodingError
    }
  }

  @Test("refuse a number that does not fit its type, at its place")
  func ranges() throws {
    for (fits, value) in [
      (true, .int(127)), (false, .int(128)), (true, .int(-128)), (false, .int(-129)),
      (true, .unsigned(127)), (false, .unsigned(128)),
    ] as [(Bool, WireValue)] {
      #expect((decoding(Int8.self, value) == nil) == fits)
      let inside = WireValue.map([.init(key: "x", value: .array([.int(0), value]))])
      let error = decoding([String: [Int8]].self, inside)
      #expect((error == nil) == fits)
      if case .dataCorrupted(let context) = error {
        #expect(context.codingPath.map(\.stringValue) == ["x", "Index 1"])
      } else {
        #expect(error == nil)
      }
    }
    #expect(decoding([Int].self, .array([.int(1), .unsigned(2)])) == nil)
    #expect(decoding([Double].self, .array([.double(1), .float(2)])) == nil)
    #expect(decoding([Double].self, .floats([1, 2])) == nil)
    #expect(decoding([Float].self, .floats([1])) == nil)
    #expect(decoding([Float].self, .doubles([1])) != nil)
    #expect(decoding([Int].self, .doubles([1])) != nil)
    #expect(decoding(Set<Double>.self, .doubles([1, 2])) == nil)
    if case .typeMismatch(_, let context) = decoding([Int].self, .array([.int(1), .double(2)])) {
      #expect(context.codingPath.map(\.stringValue) == ["Index 1"])
    } else {
      Issue.record("a double among integers")
    }
    #expect(decoding(UInt.self, .int(-1)) != nil)
    #expect(decoding(Int.self, .unsigned(.max)) != nil)
    #expect(decoding(Double.self, .float(0.5)) == nil)
    #expect(decoding(Float.self, .double(0.5)) != nil)
  }

  @Test("refuse other types, missing keys and nothing, each as what it is")
  func mismatches() {
    struct Point: Codable { var x = 1 }
    if case .typeMismatch = decoding(Int.self, .string("1")) {} else { Issue.record("a string") }
    if case .typeMismatch = decoding([Int].self, .map([])) {} else { Issue.record("a map") }
    if case .typeMismatch = decoding(Point.self, .array([])) {} else { Issue.record("an array") }
    if case .keyNotFound(let key, _) = decoding(Point.self, .map([])) {
      #expect(key.stringValue == "x")
    } else {
      Issue.record("a missing key")
    }
    if case .valueNotFound = decoding(Point.self, .map([.init(key: "x", value: .null)])) {
    } else {
      Issue.record("null")
    }
  }

  /// A list as deep as it is long.
  final class Link: Codable {
    var next: Link?

    init(length: Int) { next = length > 1 ? Link(length: length - 1) : nil }
  }

  struct Tower: Encodable {
    func encode(to encoder: any Encoder) throws {
      var container = encoder.unkeyedContainer()
      for _ in 0..<5 { container = container.nestedUnkeyedContainer() }
    }
  }

  @Test("refuse to encode what the receiver would refuse as too deep")
  func depth() throws {
    var limits = WireLimits()
    limits.depth = 10
    var encoder = WireEncoder(limits: limits)
    let tree = try encoder.encode(Link(length: 10))
    _ = try WireValue(parsing: tree.serialized(), limits: limits)
    #expect(throws: EncodingError.self) { try encoder.encode(Link(length: 11)) }
    limits.depth = 2
    var flat = WireEncoder(limits: limits)
    _ = try flat.encode([[1]])
    #expect(throws: EncodingError.self) { try flat.encode([[[1]]]) }
    limits.depth = 6
    var lower = WireEncoder(limits: limits)
    _ = try lower.encode(Tower())
    limits.depth = 5
    var lowest = WireEncoder(limits: limits)
    #expect(throws: EncodingError.self) { try lowest.encode(Tower()) }
  }

  struct Twice: Encodable {
    private enum Key: CodingKey { case x }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Key.self)
      try container.encode(1, forKey: .x)
      try container.encode(2, forKey: .x)
    }
  }

  @Test("refuse two values for one key and 128-bit integers")
  func unencodable() {
    var encoder = WireEncoder()
    #expect(throws: EncodingError.self) { try encoder.encode(Twice()) }
    #expect(throws: EncodingError.self) { try encoder.encode([Int128(1)]) }
  }

  @Test("hand the decoder's user information to the values")
  func userInfo() throws {
    struct Asking: Decodable {
      static let key = CodingUserInfoKey(rawValue: "asking")!
      var answer: Int?
      init(from decoder: any Decoder) throws { answer = decoder.userInfo[Self.key] as? Int }
    }
    let decoder = WireDecoder(segments: [], userInfo: [Asking.key: 42])
    #expect(try decoder.decode([Asking].self, from: .array([.null])).first?.answer == 42)
  }

  @Test("never crash for damaged trees, whatever type is expected")
  func damaged() throws {
    var draws = Draws(9)
    var encoder = WireEncoder()
    let good = try encoder.encode(Everything()).serialized()
    var (whole, refused) = (0, 0)
    for _ in 0..<2000 {
      var bytes = good
      bytes[draws.below(bytes.count)] = UInt8(draws.below(12))
      guard let tree = try? WireValue(parsing: bytes) else { continue }
      do {
        _ = try WireDecoder(segments: []).decode(Everything.self, from: tree)
        whole += 1
      } catch is DecodingError {
        refused += 1
      }
    }
    #expect(whole > 50 && refused > 50)
  }
}
