/// Why bytes are not a `.npy` file that can be read.
public enum NpyError: Error, Hashable, Sendable {
  /// The first six bytes are not those of a `.npy` file.
  case notNpy
  /// A version other than 1.0, 2.0 or 3.0.
  case unsupportedVersion(major: Int, minor: Int)
  /// The file ends inside the header, which needs `expected` bytes.
  case truncatedHeader(expected: Int, actual: Int)
  /// The dictionary has more than `limit` bytes.
  case headerTooLong(Int, limit: Int)
  /// The dictionary has something else than `expected` at this byte of the file.
  case malformed(at: Int, expected: String)
  /// Elements other than `<f2`, `<f4` or `<f8`.
  case unsupportedElement(String)
  /// More than `limit` dimensions.
  case tooManyDimensions(limit: Int)
  /// The shape needs more bytes than a file can have.
  case shapeTooLarge([Int])
  /// The shape needs a file of `expected` bytes, but it has `actual`.
  case wrongLength(shape: [Int], expected: Int, actual: Int)
}

extension NpyError: CustomStringConvertible {
  /// What is wrong, and what to change.
  public var description: String {
    switch self {
    case .notNpy: "This is not a .npy file: it does not begin with \\x93NUMPY."
    case .unsupportedVersion(let major, let minor):
      "Version \(major).\(minor) of .npy is not known here; save as version 1.0, 2.0 or 3.0."
    case .truncatedHeader(let expected, let actual):
      "The header needs \(expected) bytes, but there are only \(actual)."
    case .headerTooLong(let length, let limit):
      "The header says it has \(length) bytes; at most \(limit) are read."
    case .malformed(let position, let expected):
      "The header is malformed at byte \(position): expected \(expected)."
    case .unsupportedElement(let descr):
      "Elements of type \(descr) are not read; save with astype('<f4'), '<f8' or '<f2'."
    case .tooManyDimensions(let limit): "The shape has more than \(limit) dimensions."
    case .shapeTooLarge(let shape): "The shape \(shape) needs more bytes than a file can have."
    case .wrongLength(let shape, let expected, let actual):
      "The shape \(shape) needs a file of \(expected) bytes, but it has \(actual)."
    }
  }
}
