extension Tensor: Codable {
  /// Encodes element type, shape, and the elements as numbers; between processes the elements travel as raw bytes instead.
  ///
  /// - Throws: what the encoder throws; many refuse numbers that are not finite.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: TensorKey.self)
    try container.encode(Element.elementType.rawValue, forKey: .type)
    try container.encode(shape, forKey: .shape)
    if let segments = encoder.userInfo[TensorSegments.key] as? TensorSegments {
      try container.encode(segments.append(segment), forKey: .segment)
    } else {
      var numbers = container.nestedUnkeyedContainer(forKey: .elements)
      try withUnsafeBufferPointer { for element in $0 { try numbers.encode(element) } }
    }
  }

  /// Decodes a tensor.
  ///
  /// - Throws: `DecodingError` when the element type is another one, or shape and number of elements are impossible together;
  ///   its underlying error is then a ``TensorError``.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: TensorKey.self)
    let type = try container.decode(ElementType.self, forKey: .type)
    guard type == Element.elementType else {
      throw DecodingError.typeMismatch(
        Self.self,
        .init(
          codingPath: decoder.codingPath,
          debugDescription: "The tensor's elements are \(type), not \(Element.elementType)."))
    }
    try self.init(decoder, container)
  }

  /// Decodes what follows the element type, which has been checked.
  fileprivate init(
    _ decoder: any Decoder, _ container: KeyedDecodingContainer<TensorKey>
  ) throws {
    let shape = try container.decode([Int].self, forKey: .shape)
    do {
      guard let segments = decoder.userInfo[TensorSegments.key] as? TensorSegments else {
        // Before the elements are read: their number is then known to be possible.
        _ = try TensorError.checkedCount(of: shape)
        try self.init(container.decode([Element].self, forKey: .elements), shape: shape)
        return
      }
      let index = try container.decode(Int.self, forKey: .segment)
      guard segments.list.indices.contains(index) else {
        throw DecodingError.dataCorruptedError(
          forKey: .segment, in: container,
          debugDescription: "There is no segment \(index) among \(segments.list.count).")
      }
      try self.init(shape: shape, segment: segments.list[index])
    } catch let error as TensorError {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath, debugDescription: error.description,
          underlyingError: error))
    }
  }
}

extension AnyTensor: Codable {
  /// Encodes as the tensor it holds does.
  ///
  /// - Throws: as ``Tensor/encode(to:)``.
  public func encode(to encoder: any Encoder) throws {
    switch self {
    case .float32(let tensor): try tensor.encode(to: encoder)
    case .float64(let tensor): try tensor.encode(to: encoder)
    }
  }

  /// Decodes a tensor of either element type.
  ///
  /// - Throws: as ``Tensor/init(from:)``.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: TensorKey.self)
    switch try container.decode(ElementType.self, forKey: .type) {
    case .float32: self = .float32(try Tensor(decoder, container))
    case .float64: self = .float64(try Tensor(decoder, container))
    }
  }
}

/// The parts of an encoded tensor.
private enum TensorKey: String, CodingKey {
  /// The element type.
  case type
  /// The extent of each dimension.
  case shape
  /// The position of the elements among the segments of the message.
  case segment
  /// The elements in row-major order, where there are no segments.
  case elements
}
