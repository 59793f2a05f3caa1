import ByzTensor

/// A model of this library as a value that can be sent: its kind and sizes, never its code.
public enum ModelSpecification: Hashable, Codable, Sendable {
  /// ``SoftmaxRegression``.
  case softmaxRegression(inputs: Int, classes: Int)
  /// ``MultilayerPerceptron``.
  case multilayerPerceptron(inputs: Int, hidden: [Int], classes: Int)
  /// ``ConvolutionalNetwork``.
  case convolutionalNetwork

  /// What a model is.
  ///
  /// - Throws: ``ModelError/cannotBeSent(model:)`` for a model of another type.
  public init(_ model: any Model) throws(ModelError) {
    switch model {
    case let model as SoftmaxRegression:
      self = .softmaxRegression(inputs: model.inputCount, classes: model.classCount)
    case let model as MultilayerPerceptron:
      self = .multilayerPerceptron(
        inputs: model.inputCount, hidden: model.hiddenWidths, classes: model.classCount)
    case is ConvolutionalNetwork: self = .convolutionalNetwork
    default: throw .cannotBeSent(model: "\(type(of: model))")
    }
  }

  /// The model.
  ///
  /// - Throws: ``ModelError/invalidWidths(_:)`` when there can be no such model.
  public func makeModel() throws(ModelError) -> any Model {
    switch self {
    case .softmaxRegression(let inputs, let classes):
      try SoftmaxRegression(inputs: inputs, classes: classes)
    case .multilayerPerceptron(let inputs, let hidden, let classes):
      try MultilayerPerceptron(inputs: inputs, hidden: hidden, classes: classes)
    case .convolutionalNetwork: ConvolutionalNetwork()
    }
  }

  /// The scratch memory of a gradient, in bytes for each input of the batch.
  var scratchByteCount: Double {
    switch self {
    case .softmaxRegression(_, let classes): 4 * Double(classes)
    case .multilayerPerceptron(_, let hidden, let classes):
      // Outputs and their gradients.
      4 * hidden.reduce(Double(classes)) { $0 + 2 * Double($1) }
    case .convolutionalNetwork: 72 * 1024
    }
  }
}

// MARK: - Models

/// A model that its specification makes again.
protocol SpecifiedModel: Model, Codable {}

extension SpecifiedModel {
  /// Reads the specification.
  ///
  /// - Throws: ``ModelError/invalidWidths(_:)`` when there can be no such model; `DecodingError`
  ///   when it is another model's.
  public init(from decoder: any Decoder) throws {
    guard let model = try ModelSpecification(from: decoder).makeModel() as? Self else {
      throw DecodingError.dataCorrupted(
        .init(codingPath: decoder.codingPath, debugDescription: "This is not a \(Self.self)."))
    }
    self = model
  }

  /// Writes the specification.
  public func encode(to encoder: any Encoder) throws {
    try ModelSpecification(self).encode(to: encoder)
  }
}

extension SoftmaxRegression: Codable, SpecifiedModel {}
extension MultilayerPerceptron: Codable, SpecifiedModel {}
extension ConvolutionalNetwork: Codable, SpecifiedModel {}

// MARK: - Batches

extension Batch: Codable {
  private enum CodingKeys: CodingKey { case inputs, labels }

  /// Reads inputs and labels.
  ///
  /// - Throws: ``ModelError/wrongLabelCount(inputs:labels:)`` unless there is a label for each
  ///   input.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    try self.init(
      inputs: values.decode(Tensor<Float>.self, forKey: .inputs),
      labels: values.decode([Int].self, forKey: .labels))
  }

  /// Writes inputs and labels.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(inputs, forKey: .inputs)
    try values.encode(labels, forKey: .labels)
  }
}
