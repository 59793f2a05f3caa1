package import ByzRuntime
package import ByzTensor

/// Decides which part is sent next.
///
/// Large parts go first, and the head only when the other side has fetched all of them: a message whose head has arrived was
/// read from memory that was still the message's, even if the sender closes or dies the next moment. Heads go in the order of
/// their messages. What is on its way at once is bounded by a window.
package struct UCXOutbox: Sendable {
  /// Bytes to send.
  package enum Bytes: Sendable {
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
    /// What the message counts for in a queue.
    let byteCount: Int
  }

  /// Messages that have not begun, from `first` on; the room before it is given back now and then.
  private var waiting: [Message?] = []
  private var first = 0
  private var nextFrame: UInt64 = 0
  /// Frames on their way, in order. Only of the last one there may be large parts that have not begun.
  private var frames: [Outgoing] = []
  /// Of how many of `frames`, the first ones, the head has begun.
  private var headed = 0
  private var bytesOnTheirWay = 0
  private var partsOnTheirWay = 0

  /// How many bytes of messages have gone since this was last asked.
  private var goneByteCount = 0

  package init() {}

  package mutating func append(_ message: Message) { waiting.append(message) }

  /// Whether everything has been sent.
  package var isEmpty: Bool { frames.isEmpty && first == waiting.count }

  /// What to send next, or nil when something has to arrive first.
  package mutating func next() -> (part: UCXPart, bytes: Bytes)? {
    if let next = nextPart() { return next }
    guard first < waiting.count, let message = waiting[first], hasRoom(for: message) else {
      return nil
    }
    begin(message)
    waiting[first] = nil
    first += 1
    if first > 64, 2 * first > waiting.count {
      waiting.removeFirst(first)
      first = 0
    }
    return nextPart()
  }

  /// Notes that a part has been sent.
  package mutating func sent(_ part: UCXPart) {
    guard let i = frames.firstIndex(where: { $0.number == part.frame }) else { return }
    if part.index > 0 {
      frames[i].arrived += 1
    } else {
      let frame = frames.remove(at: i)
      headed -= 1
      bytesOnTheirWay -= frame.byteCount
      partsOnTheirWay -= frame.partCount
      goneByteCount += frame.byteCount
    }
  }

  /// How many bytes of messages have gone since the last call.
  package mutating func takeGoneByteCount() -> Int {
    defer { goneByteCount = 0 }
    return goneByteCount
  }

  private mutating func nextPart() -> (part: UCXPart, bytes: Bytes)? {
    guard headed < frames.count else { return nil }
    let last = frames[frames.count - 1]
    if last.begun < last.large.count {
      frames[frames.count - 1].begun += 1
      let part = UCXPart(frame: last.number, index: last.begun + 1, count: last.partCount)
      return (part, .segment(last.large[last.begun]))
    }
    let next = frames[headed]
    guard next.arrived == next.large.count else { return nil }
    headed += 1
    return (UCXPart(frame: next.number, index: 0, count: next.partCount), .head(next.head))
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
