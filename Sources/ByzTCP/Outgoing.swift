import ByzRuntime
import ByzTensor
import NIOCore

/// A message on its way out: its head encoded, its segments where they lie.
struct OutgoingMessage: Sendable {
  private let head: [UInt8]
  private let segments: [Segment]
  let byteCount: Int
  /// The part that is being written, 0 for the head and i + 1 for segment i, and how much of it has
  /// been.
  private var part = 0
  private var written = 0

  /// - Precondition: `Frame.check(_:limits:)` lets the message pass.
  init(_ message: Message) {
    head = Frame.head(of: message)
    segments = message.segments
    byteCount = segments.reduce(head.count) { $0 + $1.byteCount }
  }

  /// Copies up to `room` of the bytes that follow; returns whether none are left.
  mutating func write(to buffer: inout ByteBuffer, room: Int) -> Bool {
    var room = room
    while part <= segments.count {
      let partByteCount = part == 0 ? head.count : segments[part - 1].byteCount
      let range = written..<written + min(room, partByteCount - written)
      if part == 0 {
        head.withUnsafeBytes { _ = buffer.writeBytes(UnsafeRawBufferPointer(rebasing: $0[range])) }
      } else {
        segments[part - 1].withUnsafeBytes {
          _ = buffer.writeBytes(UnsafeRawBufferPointer(rebasing: $0[range]))
        }
      }
      room -= range.count
      written = range.upperBound
      guard written == partByteCount else { return false }
      part += 1
      written = 0
    }
    return true
  }
}

/// The messages that wait to be written, handed out in chunks: many small ones in one, a large one
/// in many. Tensors are copied chunk by chunk as the socket takes them, so what waits takes no
/// memory beside the tensors'.
struct Outgoing {
  private var messages = CircularBuffer<OutgoingMessage>()
  /// What is left to write.
  private(set) var byteCount = 0

  mutating func append(_ fresh: [OutgoingMessage]) {
    messages.append(contentsOf: fresh)
    byteCount += fresh.reduce(0) { $0 + $1.byteCount }
  }

  mutating func removeAll() {
    messages.removeAll()
    byteCount = 0
  }

  /// The next bytes, at most `capacity`.
  mutating func chunk(capacity: Int, allocator: ByteBufferAllocator) -> ByteBuffer {
    var buffer = allocator.buffer(capacity: min(capacity, byteCount))
    while !messages.isEmpty, buffer.readableBytes < capacity {
      let room = capacity - buffer.readableBytes
      if messages[messages.startIndex].write(to: &buffer, room: room) { messages.removeFirst() }
    }
    byteCount -= buffer.readableBytes
    return buffer
  }
}
