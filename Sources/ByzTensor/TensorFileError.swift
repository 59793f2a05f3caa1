/// Why a tensor could not be read from a file or written to one.
public enum TensorFileError: Error, Hashable, Sendable {
  /// The system refused an operation on the file.
  case file(FileError)
  /// The file is no `.npy` file that is read here.
  case npy(path: String, NpyError)
  /// The numbers lie in the file otherwise than in a tensor, so that it cannot be used in place; `reason` says how.
  case notMappable(path: String, reason: String)
}

extension TensorFileError: CustomStringConvertible {
  /// The file, what is wrong with it, and what to do.
  public var description: String {
    switch self {
    case .file(let error): "\(error)"
    case .npy(let path, let error): "\(path): \(error)"
    case .notMappable(let path, let reason):
      "\(path) cannot be used in place: \(reason). Read it instead, or save it as row-major '<f4' or '<f8'."
    }
  }
}
