import ByzRuntime
import ByzTensor

/// Decides which part is sent next.
///
/// Large parts go first, and the head only when the other side has fetched all of them: a message whose head has arrived was
/// read from memory that was still the message's, even if the sender closes or dies the next moment. Heads go in the order of
/// their messages. What is on its way at once is bounded by a window.
struct UCXOutbox: Sendable {
  /// Bytes to send.
  enum Bytes: Sendable {
    /// A copy of them, eagerly.
    case head([UInt8])
    /// By rendezvous, from where they lie.
    case segment(Segment)
  }

  fileprivate struct Outgoing: Sendable {
    let number: UInt64
    let partCount: Int
    let head: [UInt8]
    /// What goes before the head, and how much of it has been handed out and has arrived.
    let large: [Segment]
    var begun = 0
    var arrived = 0
    var isHeadBegun = false
    /// What the message counts for in a queue.
    let byteCount: Int
  }

  /// Messages that have not begun, from `first` on; the room before it is given back now and then.
  private var waiting: [Message] = []
  private var first = 0
  private var nextFrame: UInt64 = 0
  /// Frames on their way, in order.
  private var frames: [Outgoing] = []
  private var bytesOnTheirWay = 0
  private var partsOnTheirWay = 0

  /// How many bytes of messages have gone since this was last asked.
  private var goneByteCount = 0

  mutating func append(_ message: Message) { waiting.append(message) }

  /// What to send next, or nil when something has to arrive first.
  mutating func next() -> (part: UCXPart, bytes: Bytes)? {
    if let next = nextPart() { return next }
    guard first < waiting.count, hasRoom(for: waiting[first]) else { return nil }
    begin(waiting[first])
    first += 1
    if first > 64, 2 * first > waiting.count {
      waiting.removeFirst(first)
      first = 0
    }
    return nextPart()
  }

  /// Notes that a part has been sent.
  mutating func sent(_ part: UCXPart) {
    guard let i = frames.firstIndex(where: { $0.number == part.frame }) else { return }
    if part.index > 0 {
      frames[i].arrived += 1
    } else {
      let frame = frames.remove(at: i)
      bytesOnTheirWay -= frame.byteCount
      partsOnTheirWay -= frame.partCount
      goneByteCount += frame.byteCount
    }
  }

  /// How many bytes of messages have gone since the last call.
  mutating func takeGoneByteCount() -> Int {
    defer { goneByteCount = 0 }
    return goneByteCount
  }

  private mutating func nextPart() -> (part: UCXPart, bytes: Bytes)? {
    var isHeadsTurn = true
    for i in frames.indices {
      let frame = frames[i]
      if frame.begun < frame.large.count {
        frames[i].begun += 1
        let part = UCXPart(frame: frame.number, index: frame.begun + 1, count: frame.partCount)
        return (part, .segment(frame.large[frame.begun]))
      }
      if frame.isHeadBegun { continue }
      if isHeadsTurn, frame.arrived == frame.large.count {
        frames[i].isHeadBegun = true
        return (
          UCXPart(frame: frame.number, index: 0, count: frame.partCount), .head(frame.head)
        )
      }
      isHeadsTurn = false
    }
    return nil
  }

  private func hasRoom(for message: Message) -> Bool {
    frames.isEmpty
      || bytesOnTheirWay + message.byteCount <= UCXPart.windowByteCount
        && partsOnTheirWay + message.segments.count + 2 <= UCXPart.windowPartCount
  }

  /// Deals a message out over parts.
  private mutating func begin(_ message: Message) {
    let isLarge = message.segments.map { $0.byteCount > UCXPart.eagerByteCount }
    let inline = zip(message.segments, isLarge).lazy.filter { !$1 }.map(\.0)
    let headByteCount =
      Outgoing.headByteCount(of: message) + inline.reduce(0) { $0 + $1.byteCount }
    let isHeadLarge = headByteCount > UCXPart.eagerByteCount
    var large = zip(message.segments, isLarge).filter { $1 }.map(\.0)
    var place = isHeadLarge ? 2 : 1
    let places = isLarge.map { isLarge in
      defer { if isLarge { place += 1 } }
      return isLarge ? SegmentPlace.shared(offset: UInt64(place)) : .inline
    }
    var head = Frame.head(of: message, places: places)
    head.reserveCapacity(headByteCount)
    for segment in inline { segment.withUnsafeBytes { head.append(contentsOf: $0) } }
    if isHeadLarge {
      large.insert(Segment(copying: head), at: 0)
      head = []
    }
    let frame = Outgoing(
      number: nextFrame, partCount: large.count + 1, head: head, large: large,
      byteCount: message.byteCount)
    nextFrame += 1
    bytesOnTheirWay += frame.byteCount
    partsOnTheirWay += frame.partCount
    frames.append(frame)
  }
}

extension UCXOutbox.Outgoing {
  /// The bytes of a head without inline segments.
  fileprivate static func headByteCount(of message: Message) -> Int {
    Frame.headerByteCount + Frame.entryByteCount * message.segments.count + message.body.count
  }
}

extension Segment {
  /// Bytes in memory of their own.
  fileprivate init(copying bytes: [UInt8]) {
    let storage = TensorStorage(byteCount: bytes.count)
    bytes.withUnsafeBytes { storage.address.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    self.init(storage: storage, offset: 0, byteCount: bytes.count)
  }
}
