internal import ByzTensor

/// Turns a stream of bytes into messages, however the stream is cut.
///
/// ```swift
/// while try reader.fill({ try read(descriptor, into: $0) }) > 0 {
///   while let message = try reader.next() { receive(message) }
/// }
/// ```
///
/// Small messages are taken from a staging buffer of 64 KiB, many from one read; what does not fit there of a segment is read
/// straight into the memory that the tensor will have. Every limit is checked before memory is taken, and memory for a segment is
/// only taken when everything before it has arrived and not touched before its bytes come, so a peer that announces
/// much and sends nothing costs addresses, not memory. After an error the reader keeps failing with it.
///
/// A copy would share the buffers: keep one.
package struct FrameReader: Sendable {
  /// What one read can bring besides a large segment.
  package static let stagingByteCount = 64 << 10

  /// What is accepted, asked when a message begins and for each of its segments.
  package var limits: WireLimits
  private let sharedMemory: (any SharedSegments)?
  private let staging = TensorStorage(byteCount: stagingByteCount)
  /// The bytes in `staging` that have arrived and are not used yet.
  private var staged = 0..<0
  private var failure: RuntimeError?

  // What is known of the message in progress.
  private var header: FrameHeader?
  private var size = FrameSize()
  private var table: [Entry] = []
  private var body: [UInt8] = []
  private var segments: [Segment] = []
  /// The inline segment in progress, and how many of its bytes are there.
  private var storage: TensorStorage?
  private var filled = 0

  private struct Entry {
    var byteCount: Int
    var place: SegmentPlace
  }

  /// A reader at the beginning of a stream.
  ///
  /// - Parameter sharedMemory: What the peer shares; nil when nothing, so that a message that refers to it is refused.
  package init(limits: WireLimits = WireLimits(), sharedMemory: (any SharedSegments)? = nil) {
    self.limits = limits
    self.sharedMemory = sharedMemory
  }

  /// Whether part of a message has arrived and the rest has not, once ``next()`` has returned nil.
  package var isAmidMessage: Bool { header != nil || !staged.isEmpty }

  /// Hands `read` memory for the next bytes: the staging buffer, or straight the memory of a large segment in progress.
  ///
  /// - Parameter read: Returns how many bytes it put at the beginning of the memory.
  /// - Returns: what `read` returned.
  /// - Throws: what `read` throws, after which the reader is as before; the error of ``next()`` if that has failed.
  /// - Precondition: ``next()`` has returned nil since the last call.
  package mutating func fill(
    _ read: (UnsafeMutableRawBufferPointer) throws -> Int
  ) throws -> Int {
    if let failure { throw failure }
    if let storage, staged.isEmpty, storage.byteCount - filled >= Self.stagingByteCount {
      let count = try Self.read(read, into: storage, from: filled)
      filled += count
      return count
    }
    // At most part of a header or of an entry is left.
    staging.address.copyMemory(
      from: staging.address + staged.lowerBound, byteCount: staged.count)
    staged = 0..<staged.count
    precondition(staged.count < Self.stagingByteCount, "Ask for the messages before filling again.")
    let count = try Self.read(read, into: staging, from: staged.upperBound)
    staged = 0..<staged.upperBound + count
    return count
  }

  private static func read(
    _ read: (UnsafeMutableRawBufferPointer) throws -> Int, into storage: TensorStorage,
    from offset: Int
  ) throws -> Int {
    defer { withExtendedLifetime(storage) {} }
    let room = UnsafeMutableRawBufferPointer(
      start: storage.address + offset, count: storage.byteCount - offset)
    let count = try read(room)
    precondition(count >= 0 && count <= room.count, "\(count) bytes read into \(room.count)")
    return count
  }

  /// The next whole message, or nil when more bytes are needed.
  ///
  /// - Throws: ``RuntimeError/Code/malformedMessage`` for bytes that are no message or exceed a limit,
  ///   ``RuntimeError/Code/incompatiblePeer`` for another version; what the shared memory throws.
  package mutating func next() throws(RuntimeError) -> Message? {
    if let failure { throw failure }
    do throws(RuntimeError) {
      return try parse()
    } catch {
      reset()
      failure = error
      throw error
    }
  }

  private mutating func parse() throws(RuntimeError) -> Message? {
    if header == nil { try takeHeader() }
    guard let header else { return nil }
    try takeTable(header)
    guard table.count == header.segmentCount else { return nil }
    takeBody(header)
    guard body.count == header.bodyByteCount else { return nil }
    try takeSegments(header)
    guard segments.count == header.segmentCount else { return nil }
    let message = Message(
      header.kind, epoch: header.epoch, call: header.call, timeLeft: header.timeLeft, body: body,
      segments: segments)
    reset()
    return message
  }

  /// Lets go of a message that has begun: nothing more will come.
  package mutating func drop() {
    reset()
    staged = 0..<0
  }

  private mutating func reset() {
    header = nil
    size = FrameSize()
    table = []
    body = []
    segments = []
    storage = nil
    filled = 0
  }

  // MARK: - The parts of a message

  private mutating func takeHeader() throws(RuntimeError) {
    try FrameHeader.checkBeginning(arrived)
    guard staged.count >= Frame.headerByteCount else { return }
    let header = try FrameHeader(arrived)
    try size.add(
      segmentCount: header.segmentCount, bodyByteCount: header.bodyByteCount, limits: limits)
    self.header = header
    use(Frame.headerByteCount)
  }

  private mutating func takeTable(_ header: FrameHeader) throws(RuntimeError) {
    while table.count < header.segmentCount, staged.count >= Frame.entryByteCount {
      let (byteCount, place): (UInt64, UInt64) = (arrived.number(at: 0), arrived.number(at: 8))
      try size.add(byteCount, limits: limits)
      if place > 0, sharedMemory == nil {
        throw .malformed(
          "Segment \(table.count) is in shared memory at \(place - 1), but none is shared.")
      }
      table.append(
        Entry(
          byteCount: Int(byteCount), place: place == 0 ? .inline : .shared(offset: place - 1)))
      use(Frame.entryByteCount)
    }
  }

  private mutating func takeBody(_ header: FrameHeader) {
    let count = min(header.bodyByteCount - body.count, staged.count)
    guard count > 0 else { return }
    if body.isEmpty { body.reserveCapacity(header.bodyByteCount) }
    body.append(contentsOf: arrived.prefix(count))
    use(count)
  }

  private mutating func takeSegments(_ header: FrameHeader) throws(RuntimeError) {
    while segments.count < header.segmentCount {
      let entry = table[segments.count]
      switch entry.place {
      case .shared(let offset):
        guard let sharedMemory else { return }
        segments.append(try sharedMemory.segment(offset: offset, byteCount: entry.byteCount))
      case .inline:
        let storage = self.storage ?? TensorStorage(byteCount: entry.byteCount)
        self.storage = storage
        let count = min(entry.byteCount - filled, staged.count)
        (storage.address + filled).copyMemory(
          from: staging.address + staged.lowerBound, byteCount: count)
        use(count)
        filled += count
        guard filled == entry.byteCount else { return }
        segments.append(Segment(storage: storage, offset: 0, byteCount: entry.byteCount))
        self.storage = nil
        filled = 0
      }
    }
  }

  // MARK: - What has arrived

  /// The bytes in the staging buffer that are not used yet.
  private var arrived: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: staging.address + staged.lowerBound, count: staged.count)
  }

  private mutating func use(_ count: Int) {
    staged = staged.lowerBound + count..<staged.upperBound
  }
}
