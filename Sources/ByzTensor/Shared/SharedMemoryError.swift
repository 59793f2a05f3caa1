/// Why a tensor could not be placed in shared memory.
public enum SharedMemoryError: Error, Hashable, Sendable {
  /// The system gives no shared memory; `reason` is the system's.
  case unavailable(reason: String)
  /// No gap of `byteCount` bytes is left among the `capacity` bytes of this process.
  case full(byteCount: Int, capacity: Int)
}

extension SharedMemoryError: CustomStringConvertible {
  /// What is wrong, with the number to change.
  public var description: String {
    switch self {
    case .unavailable(let reason): "Shared memory is not available: \(reason)."
    case .full(let byteCount, let capacity):
      "No \(byteCount) bytes in one piece are left of \(capacity) bytes of shared memory."
    }
  }
}
