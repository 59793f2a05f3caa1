/// The first 32 bytes of a frame, checked.
struct FrameHeader: Sendable {
  let kind: Message.Kind
  let segmentCount: Int
  let bodyByteCount: Int
  let epoch: UInt32
  let call: UInt64
  let timeLeft: Duration?

  /// Reads a header.
  ///
  /// - Precondition: `bytes` are at least 32 that ``checkBeginning(_:)`` has let pass.
  /// - Throws: ``RuntimeError/Code/malformedMessage`` for a kind that is not known.
  init(_ bytes: UnsafeRawBufferPointer) throws(RuntimeError) {
    let rawKind = bytes[5]
    guard let kind = Message.Kind(rawValue: rawKind) else {
      throw .malformed("There are no messages of kind \(rawKind) in version \(Frame.version).")
    }
    self.kind = kind
    segmentCount = Int(bytes.number(at: 6, as: UInt16.self))
    bodyByteCount = Int(bytes.number(at: 8, as: UInt32.self))
    epoch = bytes.number(at: 12)
    call = bytes.number(at: 16)
    timeLeft = Frame.timeLeft(bytes.number(at: 24))
  }

  /// Checks what tells a frame from anything else, as soon as it is there: magic and version.
  ///
  /// - Throws: ``RuntimeError/Code/malformedMessage``, ``RuntimeError/Code/incompatiblePeer``.
  static func checkBeginning(_ bytes: UnsafeRawBufferPointer) throws(RuntimeError) {
    guard bytes.count >= 5 else { return }
    let magic: UInt32 = bytes.number(at: 0)
    guard magic == Frame.magic else {
      let found = String(magic.byteSwapped, radix: 16)
      throw .malformed("A message begins with 42595a4b (\"BYZK\"), not with \(found).")
    }
    guard bytes[4] == Frame.version else {
      throw RuntimeError(
        .incompatiblePeer,
        "The other side speaks version \(bytes[4]) of the wire format, this side version \(Frame.version)."
      )
    }
  }
}

/// How large a message says it is, checked against the limits while its parts become known.
struct FrameSize: Sendable {
  private var byteCount: UInt64 = 0

  /// Header, table and body.
  mutating func add(
    segmentCount: Int, bodyByteCount: Int, limits: WireLimits
  ) throws(RuntimeError) {
    guard segmentCount <= limits.segments else {
      throw .tooMuch(segmentCount, "segments", limit: limits.segments, "WireLimits.segments")
    }
    guard bodyByteCount <= limits.body else {
      throw .tooMuch(bodyByteCount, "bytes of body", limit: limits.body, "WireLimits.body")
    }
    try add(
      UInt64(Frame.headerByteCount + Frame.entryByteCount * segmentCount + bodyByteCount),
      limits: limits)
  }

  /// A segment.
  mutating func add(_ segmentByteCount: UInt64, limits: WireLimits) throws(RuntimeError) {
    let (sum, overflow) = byteCount.addingReportingOverflow(segmentByteCount)
    guard !overflow, sum <= UInt64(max(limits.message, 0)) else {
      throw .malformed(
        """
        A message of \(overflow ? "more than \(UInt64.max)" : "at least \(sum)") bytes is longer \
        than WireLimits.message, \(limits.message).
        """)
    }
    byteCount = sum
  }
}

extension UnsafeRawBufferPointer {
  /// A little-endian number, wherever it lies.
  func number<Number: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, as _: Number.Type = Number.self
  ) -> Number {
    Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
  }
}

extension RuntimeError {
  /// Bytes that are no message.
  static func malformed(_ message: String, cause: (any Error)? = nil) -> RuntimeError {
    RuntimeError(.malformedMessage, message, cause: cause)
  }

  /// A message that exceeds a limit.
  static func tooMuch(_ count: Int, _ what: String, limit: Int, _ name: String) -> RuntimeError {
    .malformed("A message has \(count) \(what), more than \(name), \(limit).")
  }
}
