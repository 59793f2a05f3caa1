package import ByzTensor

/// Where the bytes of a segment are.
package enum SegmentPlace: Hashable, Sendable {
  /// Behind the body, in the order of the segments.
  case inline
  /// In memory that the sender shares with the receiver, this many bytes from its beginning.
  case shared(offset: UInt64)
}

/// Looks up what a peer has put into shared memory.
package protocol SharedSegments: Sendable {
  /// The bytes of a segment that a message says are there.
  ///
  /// - Throws: ``RuntimeError/Code/malformedMessage`` when they are not all within the shared memory.
  func segment(offset: UInt64, byteCount: Int) throws(RuntimeError) -> Segment
}

/// A message as bytes: header, table of segments, body, inline segments. All numbers are little-endian;
/// `docs/wire-format.md` draws every byte.
package enum Frame {
  /// The version of the format that this library writes and reads.
  package static let version: UInt8 = 1
  /// The bytes of a header.
  package static let headerByteCount = 32
  /// The bytes of an entry of the table of segments.
  package static let entryByteCount = 16
  /// The first four bytes, "BYZK", as a little-endian number.
  static let magic: UInt32 = 0x4B5A_5942

  /// Everything of a frame but its inline segments, which follow it raw, in order.
  ///
  /// - Parameter places: Where each segment is; nil when all are inline.
  /// - Precondition: at most 65,535 segments and less than 4 GiB of body, which ``check(_:limits:)`` makes sure of.
  package static func head(of message: Message, places: [SegmentPlace]? = nil) -> [UInt8] {
    let segments = message.segments
    precondition(places.map { $0.count == segments.count } ?? true, "Every segment has a place.")
    let tableByteCount = entryByteCount * segments.count
    let byteCount = headerByteCount + tableByteCount + message.body.count
    return [UInt8](unsafeUninitializedCapacity: byteCount) { bytes, initializedCount in
      let head = UnsafeMutableRawBufferPointer(bytes)
      head.put(magic, at: 0)
      head.put(version, at: 4)
      head.put(message.kind.rawValue, at: 5)
      head.put(UInt16(segments.count), at: 6)
      head.put(UInt32(message.body.count), at: 8)
      head.put(message.epoch, at: 12)
      head.put(message.call, at: 16)
      head.put(message.timeLeft.map(microseconds) ?? 0, at: 24)
      for (i, segment) in segments.enumerated() {
        let entry = headerByteCount + entryByteCount * i
        head.put(UInt64(segment.byteCount), at: entry)
        let place: UInt64 =
          switch places?[i] {
          case nil, .inline: 0
          case .shared(let offset): offset + 1
          }
        head.put(place, at: entry + 8)
      }
      message.body.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(rebasing: head[(headerByteCount + tableByteCount)...])
          .copyMemory(from: $0)
      }
      initializedCount = byteCount
    }
  }

  /// Checks before sending that a peer with these limits takes the message, whose arrival would otherwise end the connection.
  ///
  /// - Throws: ``RuntimeError/Code/malformedMessage`` with the limit that is exceeded.
  package static func check(_ message: Message, limits: WireLimits) throws(RuntimeError) {
    guard message.segments.count <= Int(UInt16.max) else {
      throw .tooMuch(
        message.segments.count, "segments", limit: Int(UInt16.max), "the format allows")
    }
    guard message.body.count <= Int(UInt32.max) else {
      throw .tooMuch(
        message.body.count, "bytes of body", limit: Int(UInt32.max), "the format allows")
    }
    var size = FrameSize()
    try size.add(
      segmentCount: message.segments.count, bodyByteCount: message.body.count, limits: limits)
    for segment in message.segments {
      try size.add(UInt64(segment.byteCount), limits: limits)
    }
  }

  /// Whole microseconds, at least 1, since 0 means no limit, and at most what the field holds.
  static func microseconds(_ timeLeft: Duration) -> UInt64 {
    let (seconds, attoseconds) = min(max(timeLeft, .microseconds(1)), longest).components
    return UInt64(seconds) * 1_000_000 + UInt64(attoseconds / attosecondsPerMicrosecond)
  }

  /// The time of a number of microseconds; nil for 0.
  static func timeLeft(_ microseconds: UInt64) -> Duration? {
    guard microseconds > 0 else { return nil }
    let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
    return Duration(
      secondsComponent: Int64(seconds),
      attosecondsComponent: Int64(rest) * attosecondsPerMicrosecond)
  }

  private static let attosecondsPerMicrosecond: Int64 = 1_000_000_000_000
  private static let longest = Duration(
    secondsComponent: Int64(UInt64.max / 1_000_000),
    attosecondsComponent: Int64(UInt64.max % 1_000_000) * attosecondsPerMicrosecond)
}

extension UnsafeMutableRawBufferPointer {
  /// Stores a number, little-endian, wherever it comes to lie.
  fileprivate func put<Number: FixedWidthInteger & BitwiseCopyable>(
    _ number: Number, at offset: Int
  ) {
    storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
  }
}
