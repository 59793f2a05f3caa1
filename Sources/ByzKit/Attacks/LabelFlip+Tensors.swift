public import ByzTensor

extension LabelFlip {
  /// The wrong labels, of labels that stand in a tensor.
  ///
  /// - Parameters:
  ///   - labels: whole numbers, of any shape.
  ///   - classes: the number of classes; nil for as many as the labels and the mapping speak of.
  /// - Returns: a tensor of the same shape.
  /// - Throws: ``AttackError``, also for a label that is no whole number.
  public func poison<Element>(
    labels: Tensor<Element>, classes: Int? = nil
  ) throws(AttackError) -> Tensor<Element> {
    let elements = labels.elements
    var wanted: [Int] = []
    wanted.reserveCapacity(elements.count)
    for element in elements {
      guard let label = Int(exactly: element) else {
        throw .invalidParameter(
          attack: name, name: "label", value: "\(element)", requirement: "a whole number")
      }
      wanted.append(label)
    }
    let known = wanted + (mapping.map { Array($0.keys) + Array($0.values) } ?? [])
    let largest = known.max() ?? -1
    guard largest < .max else { throw .labelOutOfRange(label: largest, classes: .max) }
    let poisoned = try poison(labels: wanted, classes: classes ?? largest + 1)
    for label in poisoned where Element(exactly: label) == nil {
      throw .invalidParameter(
        attack: name, name: "label", value: "\(label)",
        requirement: "a number that the labels' type holds exactly")
    }
    return Tensor(shape: labels.shape) { buffer in
      _ = buffer.initialize(from: poisoned.lazy.map { Element($0) })
    }
  }

  /// The gradient that the wrong labels cause, with respect to the logits.
  ///
  /// ```
  /// out_ik = scale·(softmax(zᵢ)ₖ - [k = wrong labelᵢ]) / B
  /// ```
  ///
  /// - Parameters:
  ///   - logits: z, of shape `(B, K)`.
  ///   - labels: the B true labels, in 0..<K.
  /// - Returns: a tensor of shape `(B, K)`.
  /// - Throws: ``AttackError``.
  public func gradient<Element>(
    logits: Tensor<Element>, labels: [Int]
  ) throws(AttackError) -> Tensor<Element> {
    guard logits.shape.count == 2, logits.count > 0, logits.shape[0] == labels.count else {
      throw .invalidParameter(
        attack: name, name: "labels", value: "\(labels.count)",
        requirement: "one for each row of logits, which have the shape \(logits.shape)")
    }
    let classes = logits.shape[1]
    let wrong = try poison(labels: labels, classes: classes)
    var gradient = logits
    gradient.withUnsafeMutableBufferPointer { buffer in
      guard let start = buffer.baseAddress else { return }
      _ = CrossEntropy.differentiate(start, labels: wrong, classes: classes)
      for i in buffer.indices { buffer[i] *= Element(scale) }
    }
    return gradient
  }
}
