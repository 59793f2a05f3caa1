/// What went wrong while work was placed on workers or run by them.
///
/// Errors that a subtask or operator throws itself are not wrapped: they reach the caller as they
/// are.
public struct RuntimeError: Error, Sendable {
  /// The kind of failure.
  public let code: Code
  /// What happened, with the name or number to change.
  public let message: String
  /// The error that led to this one, if there was one.
  public let cause: (any Error)?

  /// An error of the given kind.
  public init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
    self.code = code
    self.message = message
    self.cause = cause
  }

  /// The kind of a ``RuntimeError``. More will come, so a `switch` over it needs a default.
  public struct Code: Hashable, Sendable, CustomStringConvertible {
    /// The name of the kind.
    public let description: String

    private init(_ description: String) { self.description = description }

    /// A kind that another process named: any text is one.
    package init(wireName: String) { self.init(String(wireName.prefix(64))) }

    /// A pool was asked for that cannot exist, such as one without workers.
    public static let invalidConfiguration = Code("invalidConfiguration")
    /// No worker of the pool has the required capability, or none that has is left.
    public static let noCapableWorker = Code("noCapableWorker")
    /// The pool or the worker has been stopped.
    public static let stopped = Code("stopped")
    /// The system refused to start a worker.
    public static let workerStartFailed = Code("workerStartFailed")
    /// A worker was lost with the work it had, and the attempts to run it elsewhere are used up.
    public static let workerLost = Code("workerLost")
    /// The other side speaks another protocol version, has other types, or would compute other bits.
    public static let incompatiblePeer = Code("incompatiblePeer")
    /// The other side could not prove who it is, or this side could not.
    public static let authenticationFailed = Code("authenticationFailed")
    /// Bytes arrived that are no message, or exceed a limit.
    public static let malformedMessage = Code("malformedMessage")
    /// One peer asked for more at a time than this side gives: ``WireLimits`` names the number.
    public static let limitExceeded = Code("limitExceeded")
    /// The other side does not know the actor, the type, the method or the mailbox that was named.
    public static let unknownTarget = Code("unknownTarget")
    /// What was asked for did not happen within the time allowed.
    public static let deadlineExceeded = Code("deadlineExceeded")
    /// Too many subtasks failed for enough to return.
    public static let quorumNotReached = Code("quorumNotReached")
    /// A message may or may not have arrived: the connection ended before it was acknowledged.
    public static let deliveryUnknown = Code("deliveryUnknown")
    /// A transport is not there: a library is not installed, or an address cannot be used.
    public static let transportUnavailable = Code("transportUnavailable")
  }
}

extension RuntimeError: CustomStringConvertible {
  /// The kind, the message and the cause.
  public var description: String {
    "\(code): \(message)" + (cause.map { " Cause: \($0)" } ?? "")
  }
}
