/// Why a directory of cases could not be run at all.
public enum ConformanceError: Error, Hashable, Sendable {
  /// A file or the directory cannot be read.
  case unreadable(path: String, reason: String)
  /// A file is not what the format asks for.
  case malformed(path: String, reason: String)
}

extension ConformanceError: CustomStringConvertible {
  /// The file and what is wrong with it.
  public var description: String {
    switch self {
    case .unreadable(let path, let reason): "Cannot read \(path): \(reason)"
    case .malformed(let path, let reason): "\(path) is malformed: \(reason)"
    }
  }
}

/// A case that was not passed, and why.
public struct ConformanceFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// The case.
  public let id: String
  /// What was wrong.
  public let reason: String

  /// The case and the reason, in one line.
  public var description: String { "\(id): \(reason)" }
}

/// What came out of all cases of a directory.
public struct ConformanceReport: Hashable, Sendable {
  /// How many cases were passed, by the direct call and on the pool.
  public internal(set) var passed = 0
  /// The others, in the order of the files.
  public internal(set) var failures: [ConformanceFailure] = []
}
