import ByzTensor

extension HonestNode: Codable {
  private enum CodingKeys: CodingKey { case name, model, data, batchSize, key }

  /// The most scratch memory that the gradients of a node from elsewhere may take, in bytes: a few
  /// numbers, of one input each, and a wide layer could ask for any amount.
  public static let maxScratchByteCount = 4 << 30

  /// Reads a node: it gives the same gradients as the one that was written.
  ///
  /// - Throws: ``ModelError`` when there can be no such node, or its batches would take more scratch
  ///   memory than ``maxScratchByteCount``; `DecodingError`.
  public convenience init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let model = try values.decode(ModelSpecification.self, forKey: .model)
    try self.init(
      name: values.decode(String.self, forKey: .name), model: model.makeModel(),
      data: values.decode(Batch.self, forKey: .data),
      batchSize: values.decode(Int.self, forKey: .batchSize),
      key: values.decode(RandomKey.self, forKey: .key))
    let perInput = model.scratchByteCount
    guard Double(batchSize) * perInput <= Double(Self.maxScratchByteCount) else {
      throw ModelError.batchTooLarge(
        batchSize, limit: Int(Double(Self.maxScratchByteCount) / perInput))
    }
  }

  /// Writes the node with its data.
  ///
  /// - Throws: ``ModelError/cannotBeSent(model:)`` when the model is not one of the library's,
  ///   `EncodingError`.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(name, forKey: .name)
    try values.encode(ModelSpecification(model), forKey: .model)
    try values.encode(data, forKey: .data)
    try values.encode(batchSize, forKey: .batchSize)
    try values.encode(key, forKey: .key)
  }
}
