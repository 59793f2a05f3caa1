import ByzRuntime
import ByzTensor
import ByzUCX
import Testing

/// What goes out and comes in as parts, without UCX.
@Suite("UCX parts")
struct UCXPartsTests {
  /// Takes everything out of an outbox, in its order; `sent` is told at once.
  private func drain(_ outbox: inout UCXOutbox) -> [(part: UCXPart, bytes: UCXOutbox.Bytes)] {
    var all: [(part: UCXPart, bytes: UCXOutbox.Bytes)] = []
    while let next = outbox.next() {
      all.append(next)
      outbox.sent(next.part)
    }
    return all
  }

  /// The next part that goes out.
  private func next(_ outbox: inout UCXOutbox) -> UCXPart? { outbox.next()?.part }

  private func deliver(
    _ parts: [(part: UCXPart, bytes: UCXOutbox.Bytes)], to inbox: inout UCXInbox
  ) throws {
    for (part, bytes) in parts {
      let bytes: [UInt8] =
        switch bytes {
        case .head(let head): head
        case .segment(let segment): segment.bytes
        }
      let storage = try inbox.allocate(part, byteCount: bytes.count)
      bytes.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(start: storage.address, count: $0.count)
          .copyMemory(from: $0)
      }
      inbox.complete(part)
    }
  }

  private func messages(_ count: Int) -> [Message] {
    (0..<count).map { i in
      Message(
        .call, call: UInt64(i), body: [UInt8](repeating: 3, count: i % 3 * 9000),
        segments: [0, 10, 10_000, 20_000].prefix(i % 5).map { segment(byteCount: $0, seed: i) })
    }
  }

  @Test("are put together again, in whatever order they arrive")
  func anyOrder() throws {
    var outbox = UCXOutbox()
    let sent = messages(30)
    for message in sent { outbox.append(message) }
    var parts = drain(&outbox)
    var random = SystemRandomNumberGenerator()
    parts.shuffle(using: &random)
    var inbox = UCXInbox(limits: WireLimits())
    try deliver(parts, to: &inbox)
    for message in sent {
      let next = try inbox.next()
      let received = try #require(next)
      #expect(received.call == message.call && received.body == message.body)
      #expect(received.segments.map(\.bytes) == message.segments.map(\.bytes))
    }
    #expect(!inbox.hasMessage)
    #expect(outbox.takeGoneByteCount() == sent.reduce(0) { $0 + $1.byteCount })
  }

  @Test("go out with the head last, when all else has been fetched")
  func headLast() {
    var outbox = UCXOutbox()
    outbox.append(
      Message(.call, segments: [segment(byteCount: 10_000), segment(byteCount: 10_000)]))
    outbox.append(Message(.ping))
    let (first, second) = (next(&outbox), next(&outbox))
    #expect(first == UCXPart(frame: 0, index: 1, count: 3))
    #expect(second == UCXPart(frame: 0, index: 2, count: 3))
    #expect(next(&outbox) == nil)
    outbox.sent(UCXPart(frame: 0, index: 2, count: 3))
    #expect(next(&outbox) == nil)
    outbox.sent(UCXPart(frame: 0, index: 1, count: 3))
    #expect(next(&outbox) == UCXPart(frame: 0, index: 0, count: 3))
    #expect(next(&outbox) == UCXPart(frame: 1, index: 0, count: 1))
    #expect(next(&outbox) == nil)
  }

  @Test("are no more than the window takes, or one message")
  func window() throws {
    var outbox = UCXOutbox()
    for size in [UCXPart.windowByteCount + 1, 10_000, UCXPart.windowByteCount] {
      outbox.append(Message(.call, segments: [segment(byteCount: size)]))
    }
    let large = next(&outbox)
    #expect(next(&outbox) == nil)
    outbox.sent(try #require(large))
    let head = next(&outbox)
    #expect(head?.index == 0 && next(&outbox) == nil)
    outbox.sent(try #require(head))
    #expect(next(&outbox)?.frame == 1)
    #expect(next(&outbox) == nil)
  }

  @Test("of anyone's making are refused before there is memory for them")
  func refused() throws {
    var limits = WireLimits()
    limits.message = 1000
    limits.segments = 3
    let part = UCXPart(frame: 0, index: 1, count: 3)
    let bad: [(UCXPart, Int)] = [
      (UCXPart(frame: 0, index: 0, count: 0), 10), (UCXPart(frame: 0, index: 3, count: 3), 10),
      (UCXPart(frame: 0, index: 0, count: 6), 10), (UCXPart(frame: 0, index: 1, count: 3), 10),
      (UCXPart(frame: 0, index: 0, count: 2), 10), (UCXPart(frame: 0, index: 2, count: 3), 901),
      (UCXPart(frame: 1, index: 0, count: 1), 1001), (UCXPart(frame: 1, index: 0, count: 1), .max),
      (UCXPart(frame: 1, index: 0, count: 1), -1),
    ]
    for (next, byteCount) in bad {
      var inbox = UCXInbox(limits: limits)
      _ = try inbox.allocate(part, byteCount: 100)
      let error = #expect(throws: RuntimeError.self) {
        try inbox.allocate(next, byteCount: byteCount)
      }
      #expect(error?.code == .malformedMessage, "\(next), \(byteCount) bytes")
    }
  }

  @Test("that are never completed are bounded, in number and in bytes")
  func bounded() throws {
    var limits = WireLimits()
    limits.message = 1000
    var inbox = UCXInbox(limits: limits)
    var count = 0
    let error = #expect(throws: RuntimeError.self) {
      while count < 1_000_000 {
        _ = try inbox.allocate(UCXPart(frame: UInt64(count) + 5, index: 0, count: 2), byteCount: 0)
        count += 1
      }
    }
    #expect(error?.code == .malformedMessage && count < 20_000)

    limits.message = 1 << 40
    inbox = UCXInbox(limits: limits)
    _ = try inbox.allocate(UCXPart(frame: 3, index: 0, count: 2), byteCount: 1 << 20)
    #expect(throws: RuntimeError.self) {
      try inbox.allocate(UCXPart(frame: 3, index: 1, count: 2), byteCount: 1 << 40)
    }
  }

  @Test(
    "of a stranger take no more than two of its messages, and only few; once it is known they take more"
  )
  func strangers() throws {
    var inbox = UCXInbox(limits: WireLimits(), isOfStranger: true)
    var byteCount = 0
    #expect(throws: RuntimeError.self) {
      for frame in 0..<1000 as Range<UInt64> {
        _ = try inbox.allocate(UCXPart(frame: frame, index: 1, count: 2), byteCount: 60_000)
        byteCount += 60_000
      }
    }
    #expect((120_000...200_000).contains(byteCount))
    inbox = UCXInbox(limits: WireLimits(), isOfStranger: true)
    #expect(throws: RuntimeError.self) {
      for frame in 0..<9 as Range<UInt64> {
        _ = try inbox.allocate(UCXPart(frame: frame, index: 1, count: 2), byteCount: 1)
      }
    }
    inbox.admit(WireLimits())
    _ = try inbox.allocate(UCXPart(frame: 9, index: 8000, count: 8001), byteCount: 8 << 20)
  }

  @Test("of one message may be many", .timeLimit(.minutes(1)))
  func manyParts() throws {
    var limits = WireLimits()
    limits.segments = 65_000
    var inbox = UCXInbox(limits: limits)
    let start = ContinuousClock.now
    for index in 0..<60_000 {
      let part = UCXPart(frame: 0, index: index, count: 60_000)
      _ = try inbox.allocate(part, byteCount: 0)
      inbox.complete(part)
    }
    #expect(inbox.hasMessage)
    // Each copied with all before it, they took minutes.
    #expect(ContinuousClock.now - start < .seconds(10))
  }

  @Test("that make no message are refused")
  func noMessage() throws {
    let head = Frame.head(of: Message(.ping))
    let shared = Frame.head(
      of: Message(.call, segments: [segment(byteCount: 9)]), places: [.shared(offset: 1)])
    /// The bytes of the head, and of the parts after it.
    let cases: [([UInt8], [Int])] = [
      ([], []), (Array(head.dropLast()), []), (head + [0], []), (head + head, []), (head, [9]),
      (shared, []), (shared, [8]), (shared, [10]), (shared, [9, 9]),
      ([UInt8](repeating: 1, count: 100), []), ([], [0]),
    ]
    for (head, others) in cases {
      var inbox = UCXInbox(limits: WireLimits())
      var parts: [(part: UCXPart, bytes: UCXOutbox.Bytes)] = [
        (UCXPart(frame: 0, index: 0, count: others.count + 1), .head(head))
      ]
      for (i, size) in others.enumerated() {
        let part = UCXPart(frame: 0, index: i + 1, count: others.count + 1)
        parts.append((part, .segment(segment(byteCount: size))))
      }
      try deliver(parts, to: &inbox)
      let error = #expect(throws: RuntimeError.self) { try inbox.next() }
      #expect(error?.code == .malformedMessage, "\(head.count), \(others)")
    }
  }
}
