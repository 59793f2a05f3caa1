package import ByzTensor

/// A connection to one other process that carries messages both ways, whole and in order.
///
/// Each transport has one: a socket pair with shared memory, TCP, UCX. It moves bytes and knows nothing of calls; what the
/// messages mean is for ``Peer``.
package protocol Link: AnyObject, Sendable {
  /// The other end, for error messages: `process 4711`, `tcp://host:29000`.
  var peerName: String { get }

  /// What the other side may send and take; what it has proved so far does not matter.
  var limits: WireLimits { get }

  /// Whether the process at the other end goes with the link.
  var endsOther: Bool { get }

  /// Begins to deliver. Called once; what opens the connection may have been sent before, and goes first.
  func start(_ receiver: any LinkReceiver)

  /// Sends a message, or queues it while the connection cannot take it. Never blocks; may be called from any thread, and messages
  /// of one thread keep their order. After the link has closed it does nothing.
  func send(_ message: Message)

  /// Whether to send these keeps the sender's thread for a while, since they have to be copied.
  func copies(_ segments: [Segment]) -> Bool

  /// New memory for what is to be sent: the link's own where it sends that without a copy.
  func storage(toSend byteCount: Int) -> TensorStorage

  /// Returns when less than the link's high-water mark is queued, at once if it is already so. Those who send much ask first,
  /// so what is queued is bounded by the number of senders.
  ///
  /// - Throws: ``RuntimeError/Code/workerLost`` when the link is closed; `CancellationError`.
  func waitUntilWritable() async throws

  /// Whether the link's high-water mark is queued, so that ``waitUntilWritable()`` would wait.
  var isFull: Bool { get }

  /// Ends the connection without sending what is queued. The receiver is told, once. Calling it again does nothing.
  func close(_ reason: RuntimeError)

  /// Ends the connection once what is queued has been sent, and takes nothing more meanwhile.
  func closeWhenSent(_ reason: RuntimeError)

  /// The other side has proved who it is: a link that was strict with a stranger applies the limits of a peer from now on. Called
  /// before the reply to the proof is sent.
  func authenticated()
}

extension Link {
  /// The defaults.
  package var limits: WireLimits { WireLimits() }

  /// No.
  package var endsOther: Bool { false }

  /// No.
  package func copies(_ segments: [Segment]) -> Bool { false }

  /// No: for links that queue nothing.
  package var isFull: Bool { false }

  /// On the heap.
  package func storage(toSend byteCount: Int) -> TensorStorage {
    TensorStorage(byteCount: byteCount)
  }

  /// At once: for links that have nothing queued when the last answer has been handed to them, or whose own end sends it.
  package func closeWhenSent(_ reason: RuntimeError) { close(reason) }

  /// Nothing: the link makes no difference.
  package func authenticated() {}
}

/// Who is told what a link receives.
package protocol LinkReceiver: AnyObject, Sendable {
  /// A message arrived. Called by one thread at a time, in order; must not block, since nothing arrives meanwhile.
  func receive(_ message: Message)

  /// Bytes arrived of a message that is not whole yet. Called like ``receive(_:)``.
  func heard()

  /// The link is closed, by either side or by a failure. The last call.
  func linkClosed(_ reason: RuntimeError)
}

extension LinkReceiver {
  /// Nothing: for those who do not watch for signs of life.
  package func heard() {}
}

/// What a peer may send, and how much it may take of this side.
///
/// A message that exceeds ``body``, ``message`` or ``segments`` closes the connection. What exceeds one of the others is refused with
/// an error, and the connection goes on.
public struct WireLimits: Hashable, Sendable {
  /// The longest encoded body, in bytes. By default 16 MiB.
  public var body = 16 << 20
  /// The most bytes of one message, tensors included. By default 2 GiB.
  public var message = 2 << 30
  /// The most tensors of one message. By default 8,192.
  public var segments = 8192
  /// The deepest nesting of encoded values. By default 64.
  public var depth = 64
  /// The most memory that the values of one body take once they are read, in bytes. By default 256 MiB.
  public var decoded = 256 << 20
  /// The most calls of one peer that are carried out at a time, and the most introductions it may wait for. By default 4,096.
  public var calls = 4096
  /// The most bytes that those calls brought together, tensors included; one alone may bring what a message may. By default 8 GiB.
  public var callBytes = 8 << 30
  /// The most actors that one peer may have made at a time, each with a thread, and with those that it starts itself. By default 1,024.
  public var actors = 1024
  /// The most values that one peer may have kept for its subtasks. By default 65,536.
  public var keptValues = 65536
  /// The most bytes that one peer may have kept for its subtasks, as they were sent. By default 8 GiB.
  public var keptBytes = 8 << 30

  /// The defaults.
  public init() {}

  /// What a stranger may send: what it takes to prove a token, and no tensors.
  package var ofStrangers: WireLimits {
    var strangers = self
    strangers.body = min(body, 64 << 10)
    strangers.message = min(message, strangers.body + Frame.headerByteCount)
    strangers.segments = 0
    return strangers
  }
}

/// When a silent process counts as lost.
///
/// Liveness is the process's heartbeat, which a long computation does not delay; how long work may take is the deadline of a call. A child that
/// goes on for ``timeout`` with a subtask that was cancelled is ended, though.
public struct Liveness: Hashable, Sendable {
  /// How often the other side is asked for a sign of life.
  public var interval: Duration
  /// How long it may be silent before it counts as lost. At least twice the interval makes sense. Time in which this side stood
  /// still, stopped or asleep, does not count.
  public var timeout: Duration
  /// How long the other side may take to say hello, once there is a connection. It may be busy with starting, so this is longer.
  public var opening: Duration

  /// By default a question every second, five seconds of silence, and 30 for a hello.
  public init(
    interval: Duration = .seconds(1), timeout: Duration = .seconds(5),
    opening: Duration = .seconds(30)
  ) {
    self.interval = interval
    self.timeout = timeout
    self.opening = opening
  }
}
