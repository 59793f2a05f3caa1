internal import ByzTensor

/// What this side has lent to the other: segments in shared memory that it may still read.
struct SharedLeases: Sendable {
  /// The most bytes that are copied into shared memory for one link and not released. What exceeds it is sent through the socket,
  /// which slows the sender down when the other side does not read.
  static let copyLimit = 1 << 30

  private struct Lease {
    var segment: Segment
    /// How many messages refer to it.
    var count: Int
    /// The size if it was copied for the link, otherwise 0.
    var copiedByteCount: Int
  }

  /// By the offset that the messages name.
  private var leases: [UInt64: Lease] = [:]
  /// How much has been copied, or is about to be.
  private(set) var copiedByteCount = 0

  /// The number of segments that are lent.
  var count: Int { leases.count }

  /// Whether so much may be copied for the link; if so it counts as copied.
  mutating func reserveCopy(_ byteCount: Int) -> Bool {
    guard copiedByteCount + byteCount <= Self.copyLimit else { return false }
    copiedByteCount += byteCount
    return true
  }

  /// Nothing was copied after all.
  mutating func cancelCopy(_ byteCount: Int) { copiedByteCount -= byteCount }

  /// Lends a segment once more.
  mutating func lend(_ segment: Segment, at offset: UInt64, copiedByteCount: Int) {
    leases[offset, default: Lease(segment: segment, count: 0, copiedByteCount: copiedByteCount)]
      .count += 1
  }

  /// Takes one loan back, and returns the segment when it was the last one; the caller lets go of it where no lock is held.
  ///
  /// - Throws: ``RuntimeError/Code/malformedMessage`` when nothing is lent there.
  mutating func release(_ offset: UInt64) throws(RuntimeError) -> Segment? {
    guard var lease = leases[offset] else {
      throw .malformed("Nothing is lent at \(offset) of the shared memory.")
    }
    lease.count -= 1
    leases[offset] = lease.count == 0 ? nil : lease
    guard lease.count == 0 else { return nil }
    copiedByteCount -= lease.copiedByteCount
    return lease.segment
  }
}

/// The body of a message of kind ``Message/Kind/release``: offsets, eight bytes each, little-endian.
package enum ReleaseBody {
  /// The most offsets of one message.
  static let limit = 8192

  package static func bytes(of offsets: some Sequence<UInt64>) -> [UInt8] {
    offsets.flatMap { offset in withUnsafeBytes(of: offset.littleEndian) { Array($0) } }
  }

  /// - Throws: ``RuntimeError/Code/malformedMessage`` when a number is cut off.
  package static func offsets(in bytes: [UInt8]) throws(RuntimeError) -> [UInt64] {
    guard bytes.count % 8 == 0 else {
      throw .malformed("A release of \(bytes.count) bytes is no list of 8-byte numbers.")
    }
    return bytes.withUnsafeBytes { bytes in
      stride(from: 0, to: bytes.count, by: 8).map { bytes.number(at: $0) }
    }
  }
}
