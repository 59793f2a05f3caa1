import ByzKit
import Foundation

/// The vectors that a command works on.
struct InputVectors {
  /// n tensors of one shape, all of single or all of double precision.
  let vectors: [AnyTensor]

  /// Opens one file of shape `(n, …)`, or several of one shape; `-` is standard input.
  ///
  /// Files are mapped. What cannot be used in place, such as half precision, is read and converted.
  init(_ paths: [String], output: String) throws {
    guard output != "-" else {
      throw Failure(
        "The output goes to a file, since it is mapped; '-' stands for standard input only.")
    }
    guard paths.filter({ $0 == "-" }).count <= 1 else {
      throw Failure("Standard input, '-', can be read only once.")
    }
    // A second run of a command with *.npy would take the first one's result for a vector.
    let target = URL(filePath: output).resolvingSymlinksInPath()
    if paths.count > 1,
      let input = paths.first(where: { URL(filePath: $0).resolvingSymlinksInPath() == target })
    {
      throw Failure("\(input) is the output, and one of the vectors, too: write to another file.")
    }
    let tensors = try paths.map { try Self.open($0, output: output) }
    guard tensors.count == 1 else {
      for (path, tensor) in zip(paths, tensors) {
        guard tensor.shape == tensors[0].shape else {
          throw Failure(
            "\(path) has shape \(tensor.shape), but \(paths[0]) has \(tensors[0].shape): all must be equal."
          )
        }
        guard tensor.elementType == tensors[0].elementType else {
          throw Failure(
            "\(path) holds \(tensor.elementType), but \(paths[0]) holds \(tensors[0].elementType): all must be equal."
          )
        }
      }
      vectors = tensors
      return
    }
    // Rows without columns take no memory, so there may be more of them than an array can list.
    guard !tensors[0].shape.contains(0) else { throw AggregationError.noVectors }
    guard tensors[0].shape.count < 2 || tensors[0].shape[0] <= Self.mostVectors else {
      throw Failure(
        "\(paths[0]) has shape \(tensors[0].shape), which is more than \(Self.mostVectors) vectors: is it transposed?"
      )
    }
    vectors = tensors[0].shape.count < 2 ? tensors : tensors[0].rows
  }

  private static let mostVectors = 1 << 20

  private static func open(_ path: String, output: String) throws -> AnyTensor {
    guard path != "-" else {
      return try AnyTensor(
        npyFrom: STDIN_FILENO, name: "standard input", spooledBeside: output)
    }
    do {
      return try AnyTensor(mappingNpy: path)
    } catch TensorFileError.notMappable {
      return try AnyTensor(npy: path)
    }
  }
}

/// The same vectors in their own type.
enum TypedVectors {
  case float32([Tensor<Float>])
  case float64([Tensor<Double>])

  init(_ input: InputVectors) {
    let single = input.vectors.compactMap { $0.typed(as: Float.self) }
    self =
      single.count == input.vectors.count
      ? .float32(single) : .float64(input.vectors.compactMap { $0.typed(as: Double.self) })
  }
}
