package import ByzTensor
internal import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A link to a child process, or a child's link to its parent: a socket pair, and memory that the other side reads in place.
///
/// Messages are written by the thread that sends them while the socket takes them; what it does not take is queued for a thread
/// of the link's own. A second thread reads. Both begin with ``start(_:)`` and end when the link closes.
///
/// Where several calls are under way, small messages are left to the reading thread while it is awake: it writes all there are
/// each time before it reads, which takes fewer system calls, and fewer wakings at the other end, than one message at a time.
///
/// A segment that lies in shared memory, or is large enough to be worth a copy there, is lent: only its place is sent, and this side
/// keeps it until the other side has let go of it.
package final class ProcessLink: Link {
  /// With so many bytes queued, ``waitUntilWritable()`` waits.
  package static let highWaterMark = 8 << 20
  /// From this size on what a message brings is copied into shared memory rather than sent through the socket.
  package static let copyThreshold = 64 << 10
  /// Below this size a segment is sent through the socket all the same.
  package static let lendThreshold = 4 << 10
  /// Up to this size a message may be left to the reading thread.
  static let leaveThreshold = 4 << 10
  /// A reading thread that has not come by for so long waits for a processor: nothing is left to it.
  static let leaveLimit = Duration.microseconds(50)
  /// How long a child that has closed its end may take to exit.
  private static let exitLimit = Duration.seconds(1)
  /// How long who closes the link waits for a child that was killed: it may be the thread of all alarms.
  private static let killLimit = Duration.milliseconds(100)

  package let peerName: String
  let socket: CInt
  package let limits: WireLimits
  let borrowed: BorrowedSegments?
  let bell: Monitor<WriterBell>
  let state = Monitor(State())
  /// Where this side puts what it lends; nil when the system gave no shared memory.
  private let arena: SharedArena?
  /// The other side, in the parent.
  private let child: ChildProcess?
  /// Whether this process is a worker, which has no purpose without the link.
  private let endsProcess: Bool
  /// Passes descriptors to the child, or takes those of the parent.
  let passage: DescriptorPassage?

  struct State: Sendable {
    /// Whether a thread is writing, or the socket takes no more and the link's own thread waits until it does.
    var isWriting = false
    /// What is behind that which is being written.
    var outbox = Outbox()
    /// What is queued or being written.
    var queuedByteCount = 0
    /// Whether what is queued waits for the reading thread, which will write it: then `isWriting` is set, too.
    var isLeftToReader = false
    /// When the reading thread last came by to write what was left to it; nil while it sleeps.
    var readerCameBy: Patience.Instant?
    /// Calls that this side has sent or taken, less their answers.
    var callsUnderWay = 0
    /// Why the link closes once nothing is queued.
    var reasonToCloseWhenSent: RuntimeError?
    var leases = SharedLeases()
    var waiting: [UInt64: CheckedContinuation<Void, any Error>] = [:]
    var waitCount: UInt64 = 0
    /// Set once; nothing is sent or received afterwards.
    var closeReason: RuntimeError?
  }

  /// Takes over one end of a socket pair.
  ///
  /// - Parameters:
  ///   - arena: Memory that the other side has mapped, to lend from.
  ///   - peerMemory: Memory in which the other side lends.
  ///   - child: The process at the other end; nil for a link to the parent.
  ///   - passage: The way by which the parent passes descriptors to the child.
  ///   - endsProcess: Whether this process exits when the receiver has been told that the link is closed.
  package init(
    peerName: String, socket: CInt, arena: SharedArena?, peerMemory: MappedArena?,
    child: ChildProcess?, passage: DescriptorPassage? = nil, endsProcess: Bool = false,
    limits: WireLimits = WireLimits()
  ) {
    self.passage = passage
    self.peerName = peerName
    self.socket = socket
    self.arena = arena
    self.child = child
    self.endsProcess = endsProcess
    self.limits = limits
    let bell = Monitor(WriterBell())
    self.bell = bell
    borrowed = peerMemory.map { BorrowedSegments(memory: $0, bell: bell) }
  }

  /// The threads hold on to the link, so they have ended, or never began.
  deinit {
    child?.end()
    byz_close(socket)
  }

  /// The number of segments that the other side may still read, for tests.
  package var lentSegmentCount: Int { state.withLock { $0.leases.count } }

  package func start(_ receiver: any LinkReceiver) {
    let isReading = startThread(named: "\(peerName) in") { self.read(into: receiver) }
    if isReading, startThread(named: "\(peerName) out", { self.writeWhatIsQueued() }) { return }
    close(RuntimeError(.workerStartFailed, "The system has no threads left for \(peerName)."))
    if !isReading { finish(nil, receiver) }
  }

  // MARK: - Sending

  package func send(_ message: Message) {
    guard let frame = place(message) else { return }
    let size = frame.byteCount
    let isFree = state.withLock { state in
      state.countCall(message)
      guard state.closeReason == nil, !state.isWriting, !state.mayLeaveToReader(size) else {
        return false
      }
      state.isWriting = true
      state.queuedByteCount += size
      return true
    }
    guard isFree else { return enqueue(frame, size) }
    let count = frame.send(to: socket)
    if hasFailed(count) { return }
    var rest = Outbox()
    if count != size { rest.append(frame, droppingFirst: max(count, 0)) }
    write(rest, sent: max(count, 0), isBlocked: count < 0)
  }

  /// Puts a frame behind the others; the thread that is writing, or the one that reads, sends it.
  private func enqueue(_ frame: OutgoingFrame, _ size: Int) {
    var last = Outbox()
    last.append(frame)
    let isFree = state.withLock { state in
      guard state.closeReason == nil, state.reasonToCloseWhenSent == nil else { return false }
      state.outbox.append(last)
      state.queuedByteCount += size
      guard !state.isWriting || state.isLeftToReader else { return false }
      state.isWriting = true
      state.isLeftToReader = state.mayLeaveToReader(size)
      return !state.isLeftToReader
    }
    if isFree { write(Outbox(), sent: 0, isBlocked: false) }
  }

  /// A child does, and who else may be there does not.
  package var endsOther: Bool { child != nil }

  package var isFull: Bool { state.withLock { $0.queuedByteCount >= Self.highWaterMark } }

  package func waitUntilWritable() async throws {
    let number = try state.withLock { state -> UInt64? in
      if let reason = state.closeReason { throw lost(reason) }
      guard state.queuedByteCount >= Self.highWaterMark else { return nil }
      state.waitCount += 1
      return state.waitCount
    }
    guard let number else { return }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        let result = state.withLock { state -> Result<Void, any Error>? in
          if let reason = state.closeReason { return .failure(lost(reason)) }
          if Task.isCancelled { return .failure(CancellationError()) }
          if state.queuedByteCount < Self.highWaterMark { return .success(()) }
          state.waiting[number] = continuation
          return nil
        }
        if let result { continuation.resume(with: result) }
      }
    } onCancel: {
      state.withLock { $0.waiting.removeValue(forKey: number) }?
        .resume(throwing: CancellationError())
    }
  }

  package func copies(_ segments: [Segment]) -> Bool {
    let byteCount = segments.reduce(0) { sum, segment in
      arena?.place(of: segment) == nil ? sum + segment.byteCount : sum
    }
    return byteCount >= Self.longCopy
  }

  /// 1 MiB takes about as long to copy as a thread to wake.
  private static var longCopy: Int { 1 << 20 }

  package func storage(toSend byteCount: Int) -> TensorStorage {
    if byteCount >= Self.copyThreshold, let arena,
      let storage = try? arena.storage(byteCount: byteCount)
    {
      return storage
    }
    return TensorStorage(byteCount: byteCount)
  }

  /// Decides where each segment of a message goes, and copies what is better copied; nil when the link is closed.
  private func place(_ message: Message) -> OutgoingFrame? {
    guard !message.segments.isEmpty, let arena else {
      return OutgoingFrame(
        head: Frame.head(of: message), inline: message.segments.filter { $0.byteCount > 0 })
    }
    var places: [SegmentPlace] = []
    var inline: [Segment] = []
    var lent: [(segment: Segment, offset: UInt64, copiedByteCount: Int)] = []
    let isLarge = message.byteCount >= Self.copyThreshold
    for segment in message.segments {
      if segment.byteCount >= Self.lendThreshold, let offset = arena.place(of: segment) {
        lent.append((segment, offset, 0))
        places.append(.shared(offset: offset))
      } else if isLarge, let copy = copy(segment, into: arena), let offset = arena.place(of: copy) {
        lent.append((copy, offset, copy.byteCount))
        places.append(.shared(offset: offset))
      } else {
        if segment.byteCount > 0 { inline.append(segment) }
        places.append(.inline)
      }
    }
    // Before the other side can have let go of them.
    let isOpen = state.withLock { state in
      guard state.closeReason == nil else { return false }
      for (segment, offset, copiedByteCount) in lent {
        state.leases.lend(segment, at: offset, copiedByteCount: copiedByteCount)
      }
      return true
    }
    return isOpen
      ? OutgoingFrame(head: Frame.head(of: message, places: places), inline: inline) : nil
  }

  /// A copy of a segment in shared memory; nil when it is small, or there is no room.
  private func copy(_ segment: Segment, into arena: SharedArena) -> Segment? {
    let size = segment.byteCount
    guard size >= Self.lendThreshold,
      state.withLock({ $0.closeReason == nil && $0.leases.reserveCopy(size) })
    else { return nil }
    do {
      return try arena.copy(of: segment)
    } catch {
      state.withLock { $0.leases.cancelCopy(size) }
      return nil
    }
  }

  // MARK: - Closing

  package func close(_ reason: RuntimeError) {
    let isFirst = state.withLock { state in
      guard state.closeReason == nil else { return false }
      state.closeReason = reason
      return true
    }
    guard isFirst else { return }
    byz_shut_down(socket, true)
    child?.kill(within: Self.killLimit)
  }

  package func closeWhenSent(_ reason: RuntimeError) {
    let isSent = state.withLock { state in
      if state.isWriting { state.reasonToCloseWhenSent = reason }
      return !state.isWriting
    }
    if isSent { close(reason) }
  }

  /// The reading thread's last act.
  ///
  /// - Parameter failure: Why it reads no more; nil at the end of the stream.
  func finish(_ failure: RuntimeError?, _ receiver: any LinkReceiver) {
    byz_shut_down(socket, true)
    let ending = child?.end(within: failure == nil ? Self.exitLimit : .zero)
    // The process is gone, so what it was lent can be used again. All this must be let go of outside of the lock.
    let (reason, old) = state.withLock { state in
      let reason = state.closeReason ?? failure ?? Self.reason(peerName, ending)
      let old = state
      state = State()
      state.closeReason = reason
      return (reason, old)
    }
    for continuation in old.waiting.values { continuation.resume(throwing: lost(reason)) }
    bell.withLock { $0.isClosed = true }
    bell.signal()
    receiver.linkClosed(reason)
    if endsProcess {
      // Not exit(): other threads still run, and what its handlers take apart is theirs.
      fflush(nil)
      _exit(failure == nil ? 0 : 1)
    }
  }

  /// What waits for room hears.
  private func lost(_ reason: RuntimeError) -> RuntimeError {
    RuntimeError(.workerLost, "The link to \(peerName) is closed.", cause: reason)
  }

  private static func reason(_ name: String, _ ending: ChildProcess.Ending?) -> RuntimeError {
    RuntimeError(
      .workerLost, "The \(name) \(ending.map(String.init(describing:)) ?? "has closed the link").")
  }
}

extension ProcessLink.State {
  /// Takes note of a call or an answer. A count that is wrong costs time, no messages.
  mutating func countCall(_ message: Message) {
    switch message.kind {
    case .call: callsUnderWay += 1
    case .reply, .failure: callsUnderWay = max(0, callsUnderWay - 1)
    default: break
    }
  }

  /// Whether the reading thread is to write a message of this size: it comes by in a moment, and others are likely to have
  /// something to send until then.
  func mayLeaveToReader(_ byteCount: Int) -> Bool {
    guard callsUnderWay > 1, byteCount <= ProcessLink.leaveThreshold, let readerCameBy else {
      return false
    }
    return Patience.Instant.now - readerCameBy < ProcessLink.leaveLimit
  }
}
