internal import ByzTensor
internal import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Bytes on their way into a socket, in order, in memory that stays where it is.
struct Outbox: Sendable {
  private var pieces: [Segment] = []
  /// The first piece that is not sent whole, and how much of it is sent.
  private var first = 0
  private var sentOfFirst = 0

  var isEmpty: Bool { first == pieces.count }

  /// Adds what is left of a message after `count` bytes have been sent.
  mutating func append(_ frame: OutgoingFrame, droppingFirst count: Int = 0) {
    var count = count
    if count < frame.head.count {
      let rest = frame.head[count...]
      let storage = TensorStorage(byteCount: rest.count)
      rest.withUnsafeBytes {
        storage.address.copyMemory(from: $0.baseAddress!, byteCount: $0.count)
      }
      pieces.append(Segment(storage: storage, offset: 0, byteCount: rest.count))
    }
    count = max(0, count - frame.head.count)
    for segment in frame.inline {
      if count < segment.byteCount {
        pieces.append(
          Segment(
            storage: segment.storage, offset: segment.offset + count,
            byteCount: segment.byteCount - count))
      }
      count = max(0, count - segment.byteCount)
    }
  }

  /// Adds everything of another one behind this one.
  mutating func append(_ other: Outbox) {
    if isEmpty {
      self = other
    } else {
      precondition(other.sentOfFirst == 0, "Only the front may be half sent.")
      pieces.removeFirst(first)
      pieces += other.pieces[other.first...]
      first = 0
    }
  }

  /// Sends what the socket takes: the number of bytes, or minus the error number.
  func send(to socket: CInt) -> Int {
    withUnsafeTemporaryAllocation(of: iovec.self, capacity: Self.batch) { vectors in
      var count = 0
      for piece in pieces[first...].prefix(Self.batch) {
        let skipped = count == 0 ? sentOfFirst : 0
        vectors.initializeElement(
          at: count,
          to: iovec(
            iov_base: piece.storage.address + piece.offset + skipped,
            iov_len: piece.byteCount - skipped))
        count += 1
      }
      defer { withExtendedLifetime(pieces) {} }
      return byz_send(socket, vectors.baseAddress!, CInt(count))
    }
  }

  /// Forgets so many bytes at the front.
  mutating func advance(by byteCount: Int) {
    sentOfFirst += byteCount
    while first < pieces.count, sentOfFirst >= pieces[first].byteCount {
      sentOfFirst -= pieces[first].byteCount
      first += 1
    }
  }

  /// How many pieces one call sends.
  private static let batch = 64
}

/// A message as it goes through a socket.
struct OutgoingFrame: Sendable {
  let head: [UInt8]
  /// The segments that follow, none of them empty.
  let inline: [Segment]

  var byteCount: Int { inline.reduce(head.count) { $0 + $1.byteCount } }

  /// Sends what the socket takes of it: the number of bytes, or minus the error number.
  func send(to socket: CInt) -> Int {
    let count = 1 + min(inline.count, Self.batch)
    return head.withUnsafeBytes { head in
      withUnsafeTemporaryAllocation(of: iovec.self, capacity: count) { vectors in
        vectors.initializeElement(
          at: 0,
          to: iovec(
            iov_base: UnsafeMutableRawPointer(mutating: head.baseAddress), iov_len: head.count))
        for i in 1..<count {
          let piece = inline[i - 1]
          vectors.initializeElement(
            at: i,
            to: iovec(iov_base: piece.storage.address + piece.offset, iov_len: piece.byteCount))
        }
        defer { withExtendedLifetime(inline) {} }
        return byz_send(socket, vectors.baseAddress!, CInt(count))
      }
    }
  }

  private static let batch = 64
}
