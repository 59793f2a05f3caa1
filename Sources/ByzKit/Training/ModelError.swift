/// Why a model could not be made, evaluated or trained.
public enum ModelError: Error, Hashable, Codable, Sendable {
  /// The parameter or gradient vector is not of the model's length.
  case wrongParameterCount(expected: Int, actual: Int)
  /// The inputs are not as many numbers each as the model takes.
  case wrongInputCount(expected: Int, actual: Int)
  /// A batch has `inputs` inputs but another number of labels.
  case wrongLabelCount(inputs: Int, labels: Int)
  /// A label is not in `0 ..< classes`; `index` is its place in the batch.
  case invalidLabel(Int, index: Int, classes: Int)
  /// There is nothing to average over.
  case emptyBatch
  /// Batches of so many inputs take more scratch memory than a node from elsewhere may.
  case batchTooLarge(Int, limit: Int)
  /// A layer must have at least one unit, and all together no more than fit in memory.
  case invalidWidths([Int])
  /// An optimizer's number is out of its range.
  case invalidHyperparameter(name: String, value: Double, bound: String)
  /// The model is not one of the library's, so a node that has it cannot be sent.
  case cannotBeSent(model: String)
}

extension ModelError: CustomStringConvertible {
  /// What is wrong, with the numbers to change.
  public var description: String {
    switch self {
    case .wrongParameterCount(let expected, let actual):
      "The model has \(expected) parameters, but the vector has \(actual)."
    case .wrongInputCount(let expected, let actual):
      "The model takes \(expected) numbers per input, but the batch has \(actual)."
    case .wrongLabelCount(let inputs, let labels):
      "The batch has \(inputs) inputs, but \(labels) labels."
    case .invalidLabel(let label, let index, let classes):
      "Label \(label) at \(index) is not one of the \(classes) classes 0 to \(classes - 1)."
    case .emptyBatch: "The batch is empty: a mean over it needs at least one input."
    case .batchTooLarge(let size, let limit):
      "A batch of \(size) inputs takes too much memory for this model: at most \(limit) at a time."
    case .invalidWidths(let widths): "Layers of \(widths) units are not possible."
    case .invalidHyperparameter(let name, let value, let bound):
      "\(name) = \(value) is out of range: requires \(bound)."
    case .cannotBeSent(let model):
      "\(model) is not a model of the library: make the node where it is to run, or use one of the library's."
    }
  }
}
