import ByzRuntime
import Testing

enum OldError: Error, Codable, VersionedOnWire {
  case reason
  static var wireVersion: Int { 2 }
}

@Suite("Hello")
struct HelloTests {
  private static func hello(
    kernels: String = "avx2", blas: String = "Haswell", types: [String: Int] = [:],
    requiresSameBits: Bool = false
  ) -> Hello {
    Hello(
      host: 1, name: "node-1 (7)", types: types, kernels: kernels, blas: blas,
      requiresSameBits: requiresSameBits)
  }

  @Test("other kernels, or another BLAS, are refused where either side requires the same bits")
  func sameBits() throws {
    for other in [Self.hello(kernels: "avx512"), Self.hello(blas: "SkylakeX")] {
      try Self.hello().check(other)
      var strict = Self.hello(requiresSameBits: true)
      let here = #expect(throws: RuntimeError.self) { try strict.check(other) }
      #expect(here?.code == .incompatiblePeer)
      strict.name = "strict (8)"
      let there = #expect(throws: RuntimeError.self) { try other.check(strict) }
      #expect(there?.message.contains("strict (8)") == true)
      #expect(there?.message.contains("the same bits are required") == true)
    }
    try Self.hello(requiresSameBits: true).check(Self.hello())
  }

  @Test("a type that only one side lists is no reason to refuse")
  func unknownTypes() throws {
    try Self.hello(types: ["A": 1, "B": 2]).check(Self.hello(types: ["B": 2, "C": 1]))
  }

  @Test("names the version of every kind of type, errors included")
  func versions() {
    let system = ByzActorSystem(registry: Registry(values: [[Int].self], errors: [OldError.self]))
    let types = system.hello(namesBLAS: false).types
    #expect(types["ByzRuntimeTests.OldError"] == 2)
    #expect(types["Swift.Array<Swift.Int>"] == 1)
  }

  @Test("comes back from its bytes, and is refused when they are cut off")
  func coding() throws {
    let hello = Self.hello(types: ["Module.Type": 3], requiresSameBits: true)
    let bytes = Hello.encode(hello)
    #expect(try Hello(parsing: bytes) == hello)
    for count in bytes.indices {
      #expect(throws: RuntimeError.self) { try Hello(parsing: Array(bytes[..<count])) }
    }
  }

  @Test("what another process says of itself is a short line in errors and logs, whatever it says")
  func oneLine() throws {
    var other = Self.hello(types: ["Module.Type": 2])
    other.name = "node\n\u{1B}[31mERROR\u{2028}\u{202E}" + String(repeating: "x", count: 10_000)
    let parsed = try Hello(parsing: Hello.encode(other))
    #expect(parsed.name.hasPrefix("node\u{FFFD}\u{FFFD}[31mERROR\u{FFFD}\u{FFFD}xxx"))
    #expect(parsed.name.unicodeScalars.count == 256)
    let error = #expect(throws: RuntimeError.self) {
      try Self.hello(types: ["Module.Type": 1]).check(parsed)
    }
    #expect(error?.message.contains("\n") == false && (error?.message.count ?? .max) < 500)
  }

  @Test("may list some thousand types, and no number that would fill the memory of a listener")
  func length() throws {
    func hello(_ count: Int) -> Hello {
      let names = (0..<count).map { ("Module.Actor<Module.Type\($0)>", 1) }
      return Self.hello(types: Dictionary(uniqueKeysWithValues: names))
    }
    #expect(try Hello(parsing: Hello.encode(hello(4000))) == hello(4000))
    let error = #expect(throws: RuntimeError.self) {
      try Hello(parsing: Hello.encode(hello(20_000)))
    }
    #expect(error?.code == .malformedMessage)
  }

  @Test("names somebody: nobody can pass for one who is not there")
  func nobody() throws {
    var hello = Self.hello()
    hello.host = 0
    #expect(throws: RuntimeError.self) { try Hello(parsing: Hello.encode(hello)) }
  }
}
