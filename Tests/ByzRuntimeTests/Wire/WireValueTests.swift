import ByzRuntime
import Testing

@Suite("WireValue", .timeLimit(.minutes(3)))
struct WireValueTests {
  /// One value of each kind and at each bound, with its bytes.
  static let samples: [(WireValue, [UInt8])] = [
    (.null, [0]),
    (.bool(false), [1]),
    (.bool(true), [2]),
    (.int(0), [3, 0]),
    (.int(-1), [3, 1]),
    (.int(1), [3, 2]),
    (.int(-64), [3, 0x7F]),
    (.int(64), [3, 0x80, 1]),
    (.int(.min), [3] + Array(repeating: 0xFF, count: 9) + [1]),
    (.int(.max), [3, 0xFE] + Array(repeating: 0xFF, count: 8) + [1]),
    (.unsigned(0), [4, 0]),
    (.unsigned(127), [4, 0x7F]),
    (.unsigned(128), [4, 0x80, 1]),
    (.unsigned(.max), [4] + Array(repeating: 0xFF, count: 9) + [1]),
    (.float(1), [5, 0, 0, 0x80, 0x3F]),
    (.double(-2), [6, 0, 0, 0, 0, 0, 0, 0, 0xC0]),
    (.string(""), [7, 0]),
    (.string("é"), [7, 2, 0xC3, 0xA9]),
    (.bytes([]), [8, 0]),
    (.bytes([9, 8]), [8, 2, 9, 8]),
    (.array([]), [9, 0]),
    (.array([.null, .array([.bool(true)])]), [9, 2, 0, 9, 1, 2]),
    (.map([]), [10, 0]),
    (.doubles([]), [11, 0]),
    (.doubles([1, -2]), [11, 2, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F, 0, 0, 0, 0, 0, 0, 0, 0xC0]),
    (.floats([1]), [12, 1, 0, 0, 0x80, 0x3F]),
    (.ints([-1, 2]), [13, 2] + Array(repeating: 0xFF, count: 8) + [2, 0, 0, 0, 0, 0, 0, 0]),
    (
      .map([.init(key: "b", value: .null), .init(key: "", value: .int(3))]),
      [10, 2, 1, 0x62, 0, 0, 3, 6]
    ),
  ]

  @Test("has exactly one form in bytes", arguments: samples.indices)
  func forms(index: Int) throws {
    let (value, bytes) = Self.samples[index]
    #expect(value.serialized() == bytes)
    #expect(try WireValue(parsing: bytes) == value)
    for count in bytes.indices {
      #expect(throws: RuntimeError.self) { try WireValue(parsing: Array(bytes[..<count])) }
    }
    #expect(throws: RuntimeError.self) { try WireValue(parsing: bytes + [0]) }
  }

  @Test("keeps the bits of every floating-point number")
  func bits() throws {
    for bits: UInt32 in [0x8000_0000, 0x7F80_0000, 0x7FC0_1234, 0xFFA0_0001, 1] {
      let bytes = [5] + (0..<4).map { UInt8(truncatingIfNeeded: bits >> (8 * $0)) }
      #expect(try WireValue(parsing: bytes).serialized() == bytes)
      guard case .float(let number) = try WireValue(parsing: bytes) else { return }
      #expect(number.bitPattern == bits)
    }
  }

  @Test("comes back, and so do its bytes, for 500 random trees")
  func randomTrees() throws {
    var draws = Draws(3)
    for _ in 0..<500 {
      let tree = draws.tree(depth: 4)
      let bytes = tree.serialized()
      let parsed = try WireValue(parsing: bytes)
      #expect(parsed == tree)
      #expect(parsed.serialized() == bytes)
    }
  }

  @Test(
    "refuses bytes that are not the one form of a value",
    arguments: [
      (bytes: [14], part: "no tag"),
      (bytes: [255], part: "no tag"),
      (bytes: [4, 0x80, 0], part: "needless"),
      (bytes: [3, 0xFF, 0x80, 0], part: "needless"),
      (bytes: [4] + Array(repeating: 0xFF, count: 9) + [2], part: "64 bits"),
      (bytes: [4] + Array(repeating: 0x80, count: 12) + [1], part: "64 bits"),
      (bytes: [7, 1, 0xFF], part: "UTF-8"),
      (bytes: [7, 3, 0xED, 0xA0, 0x80], part: "UTF-8"),
      (bytes: [7, 2, 0xC0, 0x80], part: "UTF-8"),
      (bytes: [10, 1, 1, 0x80, 0], part: "UTF-8"),
      (bytes: [10, 2, 1, 0x61, 0, 1, 0x61, 0], part: "twice"),
      (bytes: [0, 0], part: "follow"),
      (bytes: [9, 3, 0, 0], part: "announced"),
      (bytes: [10, 2, 0, 0], part: "announced"),
      (bytes: [8, 3, 0, 0], part: "announced"),
      (bytes: [9] + Array(repeating: 0xFF, count: 9) + [1], part: "announced"),
      (bytes: [], part: "announced"),
    ] as [(bytes: [UInt8], part: String)])
  func refused(bytes: [UInt8], part: String) throws {
    let error = try #require(throws: RuntimeError.self) { try WireValue(parsing: bytes) }
    #expect(error.code == .malformedMessage)
    #expect(error.message.contains(part), "\(error)")
  }

  @Test("refuses a name that comes twice among many")
  func duplicates() throws {
    var entries = (0..<20).map { WireValue.Entry(key: "\($0)", value: .null) }
    _ = try WireValue(parsing: WireValue.map(entries).serialized())
    entries[19].key = "3"
    let bytes = WireValue.map(entries).serialized()
    #expect(throws: RuntimeError.self) { try WireValue(parsing: bytes) }
  }

  @Test("is nested as deep as the limit says and no deeper, and no longer than the limit")
  func limits() throws {
    var limits = WireLimits()
    (limits.depth, limits.body) = (5, 12)
    for open: [UInt8] in [[9, 1], [10, 1, 0]] {
      for depth in 1...6 {
        let bytes = Array(repeating: open, count: depth).flatMap(\.self) + [0]
        limits.body = bytes.count
        let value = try? WireValue(parsing: bytes, limits: limits)
        #expect((value != nil) == (depth <= 5))
        limits.body -= 1
        #expect(throws: RuntimeError.self) { try WireValue(parsing: bytes, limits: limits) }
      }
    }
  }

  @Test("finds the values of a map by name")
  func lookup() {
    let map = WireValue.map([.init(key: "a", value: .int(1)), .init(key: "b", value: .null)])
    #expect(map["a"] == .int(1))
    #expect(map["b"] == .null)
    #expect(map["c"] == nil)
    #expect(WireValue.int(1)["a"] == nil)
  }

  @Test("never crashes for 20,000 damaged forms, and keeps those it takes")
  func mutations() throws {
    var draws = Draws(4)
    let good = (0..<50).map { _ in draws.tree(depth: 3).serialized() }
    var taken = 0
    for i in 0..<20_000 {
      var bytes = good[i % good.count]
      for _ in 0...draws.below(3) {
        bytes[draws.below(bytes.count)] = UInt8(
          truncatingIfNeeded: draws.next() >> UInt64(draws.below(64)))
      }
      if draws.below(4) == 0 { bytes.removeLast(draws.below(bytes.count)) }
      do throws(RuntimeError) {
        let value = try WireValue(parsing: bytes)
        taken += 1
        if value.serialized() != bytes { Issue.record("\(bytes) came back otherwise") }
      } catch {
        if error.code != .malformedMessage { Issue.record("\(error)") }
      }
    }
    #expect(taken > 1000 && taken < 19_000)
  }
}

extension Draws {
  /// A random tree; what is compared has no NaN.
  mutating func tree(depth: Int) -> WireValue {
    switch below(depth == 0 ? 8 : 15) {
    case 0: .null
    case 1: .bool(next() % 2 == 0)
    case 2: .int(Int64(bitPattern: next()) >> Int64(below(64)))
    case 3: .unsigned(next() >> UInt64(below(64)))
    case 4: .float(Float(Int64(bitPattern: next())))
    case 5: .double(Double(Int64(bitPattern: next())) / 3)
    case 6: .string(text())
    case 7: .bytes(bytes(below(20)))
    case 12: .doubles((0..<below(5)).map { _ in Double(Int64(bitPattern: next())) })
    case 14: .ints((0..<below(5)).map { _ in Int64(bitPattern: next()) })
    case 13: .floats((0..<below(5)).map { _ in Float(Int64(bitPattern: next())) })
    case 8, 9: .array((0..<below(6)).map { _ in tree(depth: depth - 1) })
    default:
      .map(
        (0..<below(12)).map {
          .init(key: "\($0)" + text(), value: tree(depth: depth - 1))
        })
    }
  }

  private mutating func text() -> String {
    String((0..<below(9)).map { _ in ["a", "Z", "é", "本", "🙂"][below(5)] as Character })
  }
}
