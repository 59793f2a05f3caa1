package import ByzRuntime
package import ByzTensor

/// Puts messages together from the parts that arrive, and hands them out in order.
///
/// A value that knows nothing of UCX: parts go in as the peer describes them, and may claim anything. A peer's claims are checked
/// against the limits before there is memory for them, and what is held at once is bounded by twice what one message may have.
package struct UCXInbox: Sendable {
  private struct Incoming: Sendable {
    var count: Int
    var byteCount = 0
    var parts: [Int: TensorStorage] = [:]
    /// How many of `parts` are complete.
    var arrived: Set<Int> = []

    init(count: Int) { self.count = count }

    mutating func add(_ storage: TensorStorage, at index: Int) {
      parts[index] = storage
      byteCount += storage.byteCount
    }
  }

  private var limits: WireLimits
  /// Whether the other side has yet to prove who it is. Until then it says two short messages, and no tensor.
  private var isOfStranger: Bool
  private let segments = ReceivedSegments()
  private var reader: FrameReader
  /// The number of the message that is handed out next.
  private var nextFrame: UInt64 = 0
  private var frames: [UInt64: Incoming] = [:]
  private var heldBytes = 0
  private var heldParts = 0

  /// Nothing has arrived.
  ///
  /// - Parameters:
  ///   - limits: What the other side may send once it is known.
  ///   - isOfStranger: Whether it has to prove who it is first.
  package init(limits: WireLimits, isOfStranger: Bool = false) {
    self.isOfStranger = isOfStranger
    self.limits = isOfStranger ? limits.ofStrangers : limits
    reader = FrameReader(limits: self.limits, sharedMemory: segments)
  }

  /// The other side has proved who it is.
  package mutating func admit(_ limits: WireLimits) {
    isOfStranger = false
    self.limits = limits
    reader.limits = limits
  }

  /// Memory for a part that arrives.
  ///
  /// - Throws: `RuntimeError.Code.malformedMessage` when there is no such part or it exceeds a limit.
  package mutating func allocate(
    _ part: UCXPart, byteCount: Int
  ) throws(RuntimeError) -> TensorStorage {
    // Two more than there are segments: a head, and one that was too long for it.
    let mostParts = limits.segments + 2
    guard (1...mostParts).contains(part.count), (0..<part.count).contains(part.index) else {
      throw malformed("Part \(part.index) of \(part.count): at most \(mostParts) are allowed")
    }
    guard part.frame >= nextFrame else {
      throw malformed("A part of message \(part.frame), which is complete")
    }
    let before = frames[part.frame]
    guard before?.count ?? part.count == part.count, before?.parts[part.index] == nil else {
      throw malformed("Part \(part.index) of message \(part.frame) contradicts one before")
    }
    let (left, room) = (limits.message - (before?.byteCount ?? 0), heldLimit - heldBytes)
    guard byteCount >= 0, byteCount <= left, byteCount <= room else {
      throw malformed(
        "A part of \(byteCount) bytes: WireLimits.message allows \(limits.message) for all of them")
    }
    guard heldParts < (isOfStranger ? 8 : 2 * max(mostParts, UCXPart.windowPartCount)) else {
      throw malformed("\(heldParts) parts of messages that are not complete")
    }
    let storage = TensorStorage(byteCount: byteCount)
    heldBytes += byteCount
    heldParts += 1
    frames[part.frame, default: Incoming(count: part.count)].add(storage, at: part.index)
    return storage
  }

  /// Notes that a part's bytes are where they belong.
  package mutating func complete(_ part: UCXPart) {
    frames[part.frame]?.arrived.insert(part.index)
  }

  /// Whether the next message is complete.
  package var hasMessage: Bool { frames[nextFrame].map { $0.arrived.count == $0.count } ?? false }

  /// The next message, or nil when parts of it are missing.
  ///
  /// - Throws: what ``FrameReader`` throws.
  package mutating func next() throws(RuntimeError) -> Message? {
    guard hasMessage, let frame = frames.removeValue(forKey: nextFrame) else { return nil }
    nextFrame += 1
    heldBytes -= frame.byteCount
    heldParts -= frame.count
    var parts = frame.parts
    var head = parts.removeValue(forKey: 0)
    if head?.byteCount == 0 { head = parts.removeValue(forKey: 1) }
    guard let head else { throw malformed("A message without a head") }
    segments.put(parts)
    let message = try read(head)
    guard segments.isEmpty else { throw malformed("A message with more parts than segments") }
    return message
  }

  private mutating func read(_ head: TensorStorage) throws(RuntimeError) -> Message {
    let bytes = UnsafeRawBufferPointer(start: head.address, count: head.byteCount)
    defer { withExtendedLifetime(head) {} }
    var offset = 0
    while offset < bytes.count {
      offset += try fill(from: bytes[offset...])
      guard let message = try reader.next() else { continue }
      guard offset == bytes.count, !reader.isAmidMessage else { break }
      return message
    }
    throw malformed("A head that is not one whole message")
  }

  private mutating func fill(from bytes: Slice<UnsafeRawBufferPointer>) throws(RuntimeError) -> Int
  {
    do {
      return try reader.fill { room in
        let count = min(room.count, bytes.count)
        room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
        return count
      }
    } catch let error as RuntimeError {
      throw error
    } catch {
      throw malformed("A head that cannot be read: \(error)")
    }
  }

  private var heldLimit: Int {
    let message =
      isOfStranger ? limits.message : max(limits.message, UCXPart.windowByteCount)
    let (twice, overflow) = message.multipliedReportingOverflow(by: 2)
    return overflow ? .max : twice
  }

  private func malformed(_ message: String) -> RuntimeError {
    RuntimeError(.malformedMessage, message + ".")
  }
}

/// The segments that came beside a head, which its reader looks up by the number of the part.
private final class ReceivedSegments: SharedSegments {
  private let parts = Monitor<[Int: TensorStorage]>([:])

  func put(_ parts: [Int: TensorStorage]) { self.parts.withLock { $0 = parts } }

  var isEmpty: Bool { parts.withLock { $0.isEmpty } }

  func segment(offset: UInt64, byteCount: Int) throws(RuntimeError) -> Segment {
    let storage = parts.withLock { parts in
      Int(exactly: offset).flatMap { parts.removeValue(forKey: $0) }
    }
    guard let storage, storage.byteCount == byteCount else {
      throw RuntimeError(
        .malformedMessage, "A segment of \(byteCount) bytes in part \(offset), which is not there.")
    }
    return Segment(storage: storage, offset: 0, byteCount: byteCount)
  }
}
