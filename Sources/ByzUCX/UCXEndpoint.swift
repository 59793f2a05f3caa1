internal import ByzRuntime
internal import ByzTensor
import CByzUCX

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A UCX worker with one endpoint or one listener: what one thread drives.
///
/// `@unchecked Sendable`: used by one thread at a time, first the one that makes it, then the one that holds the link's `driver`;
/// only ``wake()`` and ``sleep(isArmed:upTo:)`` may be called beside others.
final class UCXEndpoint: @unchecked Sendable {
  private var context: UCXContext?
  private var worker: OpaquePointer?
  /// Whether shared memory is used; nil for loopback addresses only.
  private let sharedMemory: Bool?
  private var inbox: UCXInbox
  private var outbox = UCXOutbox()
  /// Memory that UCX writes into, until it has.
  private var arriving: [UCXPart: TensorStorage] = [:]
  /// Memory that UCX reads from, until it has.
  private var leaving: [UCXPart: Segment] = [:]
  /// The connection requests that a listener has received, to be taken.
  private var requests: [OpaquePointer] = []

  private var isClient = false
  private var isClosing = false
  /// Whether UCX reads nothing from the other process any more.
  private var isSettled = false
  /// Whether the other side has said its greeting.
  private(set) var isGreeted = false
  /// Whether this side's greeting has been handed to UCX, and whether it has gone.
  private var hasBegunGreeting = false
  private var hasGreeted = false
  /// Whether the other process reads tensors from this one's memory.
  private var isReadFrom = false
  /// Whether UCX has said that the other side is gone.
  private var isAlone = false
  /// Why nothing more will come of it.
  private(set) var failure: RuntimeError?

  init(context: UCXContext, options: UCXOptions) throws(RuntimeError) {
    self.context = context
    sharedMemory = options.sharedMemory
    inbox = UCXInbox(limits: options.limits, isOfStranger: options.token != nil)
    let events = byz_ucx_events(
      owner: Unmanaged.passUnretained(self).toOpaque(),
      allocate: { UCXEndpoint.of($0).allocate(UCXPart($1), byteCount: $2) },
      received: { UCXEndpoint.of($0).received(UCXPart($1), status: $2) },
      sent: { UCXEndpoint.of($0).sent(UCXPart($1), status: $2) },
      malformed: { UCXEndpoint.of($0).fail(.malformedMessage, "It sends what ByzKit does not.") },
      failed: {
        UCXEndpoint.of($0).isAlone = true
        UCXEndpoint.of($0).fail(.workerLost, "The connection ended: \(UCX.text($1)).")
      },
      requested: { UCXEndpoint.of($0).requests.append(OpaquePointer($1)) })
    let status = byz_ucx_worker_create(context.handle, events, &worker)
    if worker == nil {
      throw RuntimeError(.transportUnavailable, "UCX starts no worker: \(UCX.text(status)).")
    }
  }

  deinit { finish() }

  // MARK: - Connecting

  /// Begins to connect.
  func connect(to address: UCXAddress) throws(RuntimeError) {
    guard let worker else { return }
    isClient = true
    isReadFrom = sharedMemory ?? address.isLoopback
    let status = address.withSocketAddress { byz_ucx_connect(worker, $0, $1, isReadFrom) }
    guard status == 0 else {
      throw RuntimeError(.workerStartFailed, "\(address) cannot be reached: \(UCX.text(status)).")
    }
  }

  /// Listens, and returns the address with the port that was chosen.
  func listen(at address: UCXAddress) throws(RuntimeError) -> UCXAddress {
    guard let worker else { return address }
    var bound = sockaddr_storage()
    let status = address.withSocketAddress { byz_ucx_listen(worker, $0, $1, &bound) }
    guard status == 0 else {
      throw RuntimeError(
        .transportUnavailable, "\(address) cannot be listened at: \(UCX.text(status)).")
    }
    return UCXAddress(bound)
  }

  /// The requests that have come since the last call; each goes to ``accept(_:from:)`` or ``reject(_:)``.
  func takeRequests() -> [OpaquePointer] {
    defer { requests = [] }
    return requests
  }

  /// Where a request comes from.
  static func address(of request: OpaquePointer) -> UCXAddress? {
    var storage = sockaddr_storage()
    let status = byz_ucx_request_address(UnsafeMutableRawPointer(request), &storage)
    return status == 0 ? UCXAddress(storage) : nil
  }

  /// Refuses a request to this listener.
  func reject(_ request: OpaquePointer) {
    if let worker { byz_ucx_reject(worker, UnsafeMutableRawPointer(request)) }
  }

  /// Connects to who made a request, and greets.
  func accept(_ request: OpaquePointer, from address: UCXAddress) throws(RuntimeError) {
    guard let worker else { return }
    isReadFrom = sharedMemory ?? address.isLoopback
    let status = byz_ucx_accept(worker, UnsafeMutableRawPointer(request), isReadFrom)
    guard status == 0 else {
      throw RuntimeError(.workerStartFailed, "\(address) cannot be accepted: \(UCX.text(status)).")
    }
    greet()
  }

  // MARK: - Working

  /// Queues a message.
  func append(_ message: Message) { outbox.append(message) }

  /// Begins to send what may be sent: nothing but a greeting until both sides have said theirs.
  ///
  /// UCX connects over TCP and may move to shared memory then. What it is given meanwhile it keeps, but decides at once how to
  /// send it: in one piece up to what TCP takes, 8 KiB. Shared memory takes 100 bytes, refuses that piece, and the connection
  /// breaks. A greeting is shorter than what any transport takes, and no message goes before UCX is connected: so once this
  /// side's greeting has gone and the other's has come, each side sends by the transport that is there to stay.
  func post() {
    if isGreeted { greet() }
    guard isGreeted, hasGreeted else { return }
    while failure == nil, let (part, bytes) = outbox.next() { post(part, bytes) }
  }

  private func greet() {
    guard !hasBegunGreeting else { return }
    hasBegunGreeting = true
    post(.greeting, .head([]))
  }

  /// Takes what a peer may send, no longer what a stranger may.
  func admit(_ limits: WireLimits) { inbox.admit(limits) }

  /// Whether parts of a message are being fetched.
  var isFetching: Bool { !arriving.isEmpty }

  /// Lets UCX hand on what it has taken, until the other side closes or the time is over: what is closed by force is not sent.
  func linger(for time: Duration) {
    guard let worker else { return }
    let end = ContinuousClock.now + time
    // The time is over also for a peer that goes on sending.
    while failure == nil {
      let left = end - ContinuousClock.now
      guard left > .zero else { return }
      if !byz_ucx_progress(worker) { wait(upTo: left) }
    }
  }

  /// Whether nothing is left to be done but to wait for the other side.
  var isQuiet: Bool { outbox.isEmpty && failure == nil }

  /// Does what there is to do, and returns whether there was anything.
  func step() -> Bool {
    guard let worker else { return false }
    post()
    return byz_ucx_progress(worker)
  }

  /// The next message that has arrived.
  ///
  /// - Throws: `RuntimeError.Code.malformedMessage`, `RuntimeError.Code.incompatiblePeer`.
  func nextMessage() throws(RuntimeError) -> Message? { try inbox.next() }

  /// Whether a message has arrived that has not been taken.
  var hasMessage: Bool { inbox.hasMessage }

  /// How many bytes of messages have been sent since the last call.
  func takeGoneByteCount() -> Int { outbox.takeGoneByteCount() }

  /// Sleeps until there may be something to do or the time is over.
  func wait(upTo time: Duration? = nil) {
    if arm() { sleep(isArmed: true, upTo: time) }
  }

  /// Prepares to sleep, and returns false when there is something to do instead.
  func arm() -> Bool { worker.map { byz_ucx_arm($0) } ?? false }

  /// Sleeps until ``wake()``, and if armed until the other side has sent something. Others may use the endpoint meanwhile.
  func sleep(isArmed: Bool, upTo time: Duration? = nil) {
    if let worker { byz_ucx_sleep(worker, isArmed, time?.pollTimeout ?? -1) }
  }

  /// Ends a sleep. From any thread that knows that ``close(within:)`` has not begun.
  func wake() { if let worker { byz_ucx_wake(worker) } }

  /// Closes the connection, and frees everything of UCX's when that succeeds in time.
  ///
  /// UCX ends the process when a worker is freed that still has something to send. In shared memory a peer that hangs can keep
  /// it from sending; then ``finish()`` has to wait until that peer goes on or is gone.
  ///
  /// - Returns: whether all is freed.
  func close(within time: Duration) -> Bool {
    guard let worker else { return true }
    // Before the greeting a client has sent nothing, and no one may be there who would let go of it; but who is there may have
    // begun to send.
    if !isClient || isGreeted || !arriving.isEmpty {
      let end = ContinuousClock.now + time
      guard settle(worker, until: end) else { return false }
      // UCX lets go of the other side while it is still reading.
      while isReadFrom, !isAlone, !leaving.isEmpty {
        guard go(worker, until: end) else { return false }
      }
      byz_ucx_close(worker)
      while !byz_ucx_is_closed(worker) {
        guard go(worker, until: end) else { return false }
      }
    }
    // What UCX still has of them would refer to a listener that is gone.
    for request in takeRequests() { reject(request) }
    byz_ucx_worker_destroy(worker)
    self.worker = nil
    context = nil
    arriving = [:]
    leaving = [:]
    return true
  }

  /// Does something, or waits until there may be something to do; false when the time is over.
  private func go(_ worker: OpaquePointer, until end: ContinuousClock.Instant) -> Bool {
    // The time is over also for a peer that goes on sending.
    let left = end - ContinuousClock.now
    guard left > .zero else { return false }
    if !byz_ucx_progress(worker) { wait(upTo: left) }
    return true
  }

  /// Lets UCX end what it is reading from the other process, and refuses the rest: it ends this process if it still reads when its
  /// worker is freed. It must not hear of the other side once the endpoint is closed, so this comes before.
  ///
  /// - Returns: whether that has been done, or had been; false when the time is over.
  private func settle(_ worker: OpaquePointer, until limit: ContinuousClock.Instant) -> Bool {
    isClosing = true
    let patience: Duration = .milliseconds(50)
    var end = ContinuousClock.now + patience
    // It is busy as long as it reads. What it does not even try to read any more is not waited for long.
    while !isSettled {
      let now = ContinuousClock.now
      guard now < limit else { return false }
      if byz_ucx_progress(worker) {
        end = now + patience
      } else if arriving.isEmpty || now >= end {
        isSettled = true
      } else {
        wait(upTo: min(end, limit) - now)
      }
    }
    return true
  }

  /// Closes the connection and frees everything of UCX's, however long it takes.
  func finish() { while !close(within: .seconds(3600)) {} }

  private func post(_ part: UCXPart, _ bytes: UCXOutbox.Bytes) {
    guard let worker else { return }
    let status =
      switch bytes {
      case .head(let head):
        head.withUnsafeBytes { byz_ucx_send(worker, part.c, $0.baseAddress, $0.count, true) }
      case .segment(let segment):
        segment.withUnsafeBytes {
          leaving[part] = segment
          return byz_ucx_send(worker, part.c, $0.baseAddress, $0.count, false)
        }
      }
    if status != 0 { sent(part, status: status) }
  }

  // MARK: - What UCX tells

  private static func of(_ owner: UnsafeMutableRawPointer?) -> UCXEndpoint {
    // The endpoint outlives its worker, and gave this pointer to it.
    Unmanaged<UCXEndpoint>.fromOpaque(owner!).takeUnretainedValue()
  }

  private func allocate(_ part: UCXPart, byteCount: Int) -> UnsafeMutableRawPointer? {
    guard failure == nil, !isClosing else { return nil }
    if part == .greeting, byteCount == 0 {
      isGreeted = true
      return nil
    }
    do throws(RuntimeError) {
      let storage = try inbox.allocate(part, byteCount: byteCount)
      arriving[part] = storage
      return storage.address
    } catch {
      failure = error
      return nil
    }
  }

  private func received(_ part: UCXPart, status: CInt) {
    arriving[part] = nil
    if status == 0 {
      inbox.complete(part)
    } else {
      fail(.workerLost, "A part of a message could not be fetched: \(UCX.text(status)).")
    }
  }

  private func sent(_ part: UCXPart, status: CInt) {
    leaving[part] = nil
    if status == 0 {
      if part == .greeting { hasGreeted = true } else { outbox.sent(part) }
    } else {
      fail(.workerLost, "A part of a message could not be sent: \(UCX.text(status)).")
    }
  }

  private func fail(_ code: RuntimeError.Code, _ message: String) {
    if failure == nil { failure = RuntimeError(code, message) }
  }
}

extension UCXPart {
  fileprivate init(_ part: byz_ucx_part) {
    self.init(frame: part.frame, index: Int(part.index), count: Int(part.count))
  }

  fileprivate var c: byz_ucx_part {
    byz_ucx_part(frame: frame, index: UInt32(index), count: UInt32(count))
  }
}

extension Duration {
  /// Whole milliseconds, rounded up, as `poll` takes them.
  fileprivate var pollTimeout: CInt {
    let (seconds, attoseconds) = max(self, .zero).components
    let milliseconds = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    return CInt(clamping: min(seconds, 1 << 20) * 1000 + milliseconds)
  }
}
