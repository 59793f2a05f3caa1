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
  }
}

extension RuntimeError: CustomStringConvertible {
  /// The kind, the message and the cause.
  public var description: String {
    "\(code): \(message)" + (cause.map { " Cause: \($0)" } ?? "")
  }
}
