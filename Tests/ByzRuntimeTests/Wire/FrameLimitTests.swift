import ByzRuntime
import ByzTensor
import Foundation
import Testing

@Suite("FrameReader's limits", .timeLimit(.minutes(3)))
struct FrameLimitTests {
  private static let limits = {
    var limits = WireLimits()
    (limits.body, limits.message, limits.segments) = (100, 1000, 3)
    return limits
  }()

  private func refusal(of message: Message) -> RuntimeError? {
    failure(reading: frame(message), limits: Self.limits)
  }

  private static func message(body: Int = 0, segments: [Int] = []) -> Message {
    Message(
      .call, body: Array(repeating: 1, count: body),
      segments: segments.map { Segment(Array(repeating: 2, count: $0)) })
  }

  /// What is allowed and what is one too many.
  private static let bounds: [(allowed: Message, refused: Message, name: String)] = [
    (message(body: 100), message(body: 101), "WireLimits.body, 100"),
    (message(segments: [1, 1, 1]), message(segments: [1, 1, 1, 1]), "WireLimits.segments, 3"),
    (
      message(body: 8, segments: [900, 28]), message(body: 8, segments: [900, 29]),
      "WireLimits.message, 1000"
    ),
  ]

  @Test("allow exactly what they say, in the reader and before sending", arguments: 0..<3)
  func bounds(index: Int) throws {
    let (allowed, refused, name) = Self.bounds[index]
    #expect(refusal(of: allowed) == nil)
    try Frame.check(allowed, limits: Self.limits)
    let error = try #require(refusal(of: refused))
    #expect(error.code == .malformedMessage)
    #expect(error.message.contains(name))
    let early = #expect(throws: RuntimeError.self) {
      try Frame.check(refused, limits: Self.limits)
    }
    #expect(early?.message == error.message)
  }

  @Test("hold when the sum of the segments overflows")
  func overflow() {
    var bytes = Frame.head(of: Self.message(segments: [0, 0]))
    bytes.replaceSubrange(32..<40, with: Array(repeating: 0xFF, count: 8))
    bytes.replaceSubrange(48..<56, with: Array(repeating: 0xFF, count: 8))
    #expect(failure(reading: bytes)?.code == .malformedMessage)
    var limits = WireLimits()
    limits.message = .max
    #expect(failure(reading: bytes, limits: limits)?.code == .malformedMessage)
  }

  @Test("refuse what is too long before it comes")
  func early() {
    let head = Frame.head(of: Self.message(segments: [100_000]))
    #expect(failure(reading: head, limits: Self.limits)?.code == .malformedMessage)
    let body = Frame.head(of: Self.message(body: 101)).prefix(32)
    #expect(failure(reading: Array(body), limits: Self.limits)?.code == .malformedMessage)
  }

  @Test(
    "leave memory untouched that a peer only announces",
    .enabled(if: FileManager.default.fileExists(atPath: statistics)))
  func announced() throws {
    var head = Frame.head(of: Self.message(segments: [0]))
    // 2 GiB, less the header and the entry of the table.
    let byteCount = UInt64(WireLimits().message - 48)
    head.replaceSubrange(
      32..<40, with: (0..<8).map { UInt8(truncatingIfNeeded: byteCount >> (8 * $0)) })
    // 40 GiB are announced each time. Other tests may need more than this meanwhile, but hardly every time.
    let fewPages = (64 << 20) / 4096
    let isSmall = try (0..<10).contains { _ in
      let before = try residentPages()
      var readers: [FrameReader] = []
      for _ in 0..<20 {
        var reader = FrameReader()
        #expect(try reader.read(head).isEmpty)
        readers.append(reader)
      }
      return try withExtendedLifetime(readers) { try residentPages() - before < fewPages }
    }
    #expect(isSmall)
  }

  @Test("refuse another beginning at the fifth byte, naming what came")
  func beginning() throws {
    #expect(failure(reading: Array("GET ".utf8)) == nil)
    let other = try #require(failure(reading: Array("GET /".utf8)))
    #expect(other.code == .malformedMessage)
    #expect(other.message.contains("47455420"))

    var later = Frame.head(of: Message(.hello))
    later[4] = 2
    let version = try #require(failure(reading: Array(later.prefix(5))))
    #expect(version.code == .incompatiblePeer)
    #expect(version.message.contains("version 2") && version.message.contains("version 1"))

    for kind: UInt8 in [0, 11, 255] {
      var unknown = Frame.head(of: Message(.hello))
      unknown[5] = kind
      #expect(failure(reading: unknown)?.code == .malformedMessage)
    }
  }

  @Test("are final: after an error nothing more is read")
  func final() throws {
    var reader = FrameReader()
    let stream = frame(Self.message(body: 3)) + [0, 0, 0, 0, 0]
    _ = try reader.fill { room in
      room.copyBytes(from: stream)
      return stream.count
    }
    #expect(try reader.next()?.body.count == 3)
    for _ in 0..<2 {
      #expect(throws: RuntimeError.self) { try reader.next() }
      #expect(throws: RuntimeError.self) { try reader.fill { _ in 0 } }
    }
  }

  @Test("hold for 20,000 damaged streams, which never crash the reader")
  func mutations() {
    var draws = Draws(20)
    let good = frame(Self.message(body: 20, segments: [9, 0, 70])) + frame(Self.message(body: 5))
    var (messages, failures) = (0, 0)
    for _ in 0..<20_000 {
      var bytes = good
      for _ in 0...draws.below(3) {
        // Mostly in the first header and table, where a change matters.
        let position = draws.below(draws.below(4) == 0 ? bytes.count : 80)
        bytes[position] = UInt8(truncatingIfNeeded: draws.next() >> UInt64(draws.below(64)))
      }
      if draws.below(8) == 0 { bytes.removeLast(draws.below(bytes.count)) }
      var reader = FrameReader(limits: Self.limits)
      do {
        messages += try reader.read(bytes, pieceByteCount: 1 + draws.below(bytes.count + 1)).count
      } catch {
        failures += error is RuntimeError ? 1 : 0
      }
    }
    #expect(messages > 1000)
    #expect(failures > 1000)
  }
}

private let statistics = "/proc/self/statm"

/// Pages of this process that are in memory.
private func residentPages() throws -> Int {
  let fields = try String(contentsOfFile: statistics, encoding: .utf8).split(separator: " ")
  return try #require(fields.count > 1 ? Int(fields[1]) : nil)
}
