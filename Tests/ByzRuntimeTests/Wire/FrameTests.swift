import ByzRuntime
import ByzTensor
import Testing

@Suite("Frame and FrameReader", .timeLimit(.minutes(3)))
struct FrameTests {
  private static let message = Message(
    .call, epoch: 7, call: 1 << 40, timeLeft: .milliseconds(1500), body: [1, 2, 3],
    segments: [Segment([4, 5, 6, 7, 8]), Segment([]), Segment([9])])

  @Test("gives back every kind of message", arguments: Message.Kind.allCases)
  func roundTrip(kind: Message.Kind) throws {
    for segments in [[], [[1, 2, 3]], [[], [7], []]] as [[[UInt8]]] {
      for timeLeft in [nil, .microseconds(1), .seconds(1 << 40)] as [Duration?] {
        let message = Message(
          kind, epoch: .max, call: .max, timeLeft: timeLeft,
          body: Array(repeating: 9, count: segments.count), segments: segments.map(Segment.init))
        var reader = FrameReader()
        let read = try reader.read(frame(message))
        #expect(read.map(Contents.init) == [Contents(message)])
      }
    }
  }

  @Test("gives the same two messages wherever the stream is cut")
  func splits() throws {
    let stream = frame(Self.message) + frame(Message(.pong, call: 3, segments: [Segment([1, 2])]))
    let expected = [Self.message, Message(.pong, call: 3, segments: [Segment([1, 2])])]
      .map(Contents.init)
    for split in 0...stream.count {
      var reader = FrameReader()
      var read = try reader.read(Array(stream[..<split]))
      #expect(read.count == (split == stream.count ? 2 : split < frame(Self.message).count ? 0 : 1))
      read += try reader.read(Array(stream[split...]))
      #expect(read.map(Contents.init) == expected, "split at \(split)")
    }
    for pieceByteCount in 1...stream.count {
      var reader = FrameReader()
      let read = try reader.read(stream, pieceByteCount: pieceByteCount)
      #expect(read.map(Contents.init) == expected, "pieces of \(pieceByteCount)")
    }
  }

  @Test("takes many small messages from one read")
  func manyInOneRead() throws {
    let messages = (0..<1000).map { Message(.call, call: UInt64($0), body: [UInt8($0 % 256)]) }
    var reader = FrameReader()
    var reads = 0
    var rest = messages.flatMap(frame)[...]
    var calls: [UInt64] = []
    while !rest.isEmpty {
      let count = try reader.fill { room in
        room.copyBytes(from: rest.prefix(room.count))
        return min(rest.count, room.count)
      }
      rest = rest.dropFirst(count)
      reads += 1
      while let message = try reader.next() { calls.append(message.call) }
    }
    #expect(calls == Array(0..<1000))
    #expect(reads == 1)
  }

  @Test("reads what is left of a large segment straight into its own memory")
  func largeSegment() throws {
    var draws = Draws(1)
    let bytes = (0..<300_000).map { _ in UInt8(truncatingIfNeeded: draws.next()) }
    let stream = frame(Message(.reply, body: [1], segments: [Segment(bytes), Segment([5])]))
    for pieceByteCount in [997, 64 << 10, .max] {
      var reader = FrameReader()
      let read = try reader.read(stream, pieceByteCount: pieceByteCount)
      #expect(read.map { $0.segments.map(\.bytes) } == [[bytes, [5]]])
    }

    var reader = FrameReader()
    var rooms: [Range<UInt>] = []
    var rest = stream[...]
    var message: Message?
    while message == nil {
      let count = try reader.fill { room in
        let start = UInt(bitPattern: room.baseAddress)
        rooms.append(start..<start + UInt(room.count))
        room.copyBytes(from: rest.prefix(room.count))
        return min(rest.count, room.count)
      }
      rest = rest.dropFirst(count)
      message = try reader.next()
    }
    let segment = try #require(message?.segments.first)
    segment.withUnsafeBytes { bytes in
      let start = UInt(bitPattern: bytes.baseAddress)
      #expect(start % 64 == 0)
      #expect(rooms.dropFirst().first?.upperBound == start + UInt(bytes.count))
    }
  }

  @Test("sends at least one microsecond of time, since none means no limit")
  func timeLeft() throws {
    func sent(_ timeLeft: Duration?) throws -> Duration? {
      var reader = FrameReader()
      return try #require(try reader.read(frame(Message(.call, timeLeft: timeLeft))).first).timeLeft
    }
    #expect(try sent(nil) == nil)
    for short: Duration in [.nanoseconds(999), .zero, .seconds(-5)] {
      #expect(try sent(short) == .microseconds(1))
    }
    #expect(try sent(.nanoseconds(2999)) == .microseconds(2))
    let longest = Duration.microseconds(Int64.max) + .microseconds(Int64.max) + .microseconds(1)
    #expect(try sent(longest) == longest)
    #expect(try sent(longest + longest) == longest)
  }

  @Test("survives a read that fails")
  func failedRead() throws {
    let stream = frame(Self.message)
    var reader = FrameReader()
    _ = try reader.read(Array(stream[..<40]))
    #expect(throws: Failure.self) { try reader.fill { _ in throw Failure() } }
    #expect(try reader.read(Array(stream[40...])).map(Contents.init) == [Contents(Self.message)])
  }

  // MARK: - Shared memory

  private struct Memory: SharedSegments {
    let bytes = Segment(Array(0..<100))

    func segment(offset: UInt64, byteCount: Int) throws(RuntimeError) -> Segment {
      guard offset <= 100, byteCount <= 100 - Int(offset) else {
        throw RuntimeError(.malformedMessage, "outside")
      }
      return Segment(storage: bytes.storage, offset: Int(offset), byteCount: byteCount)
    }
  }

  @Test("looks segments up in shared memory, between inline ones")
  func shared() throws {
    let memory = Memory()
    let shared = try memory.segment(offset: 0, byteCount: 3)
    let message = Message(.call, body: [1], segments: [Segment([8, 9]), shared, Segment([7])])
    let head = Frame.head(of: message, places: [.inline, .shared(offset: 0), .inline])
    var reader = FrameReader(sharedMemory: memory)
    let read = try reader.read(head + [8, 9, 7])
    #expect(read.map { $0.segments.map(\.bytes) } == [[[8, 9], [0, 1, 2], [7]]])
    #expect(read.first?.segments[1].storage === memory.bytes.storage)

    #expect(failure(reading: head)?.code == .malformedMessage, "none is shared")
    let outside = Frame.head(
      of: message, places: [.inline, .shared(offset: 99), .inline])
    #expect(throws: RuntimeError.self) { try reader.read(outside + [8, 9, 7]) }
  }
}
