import ByzTensor

/// Inputs and their labels: what a model learns from, or is tested on.
public struct Batch: Sendable {
  /// One input per row: shape (count, …). A model takes all numbers of a row in order, whatever
  /// their shape.
  public let inputs: Tensor<Float>
  /// The class of each input, from 0.
  public let labels: [Int]

  /// The number of inputs.
  public var count: Int { labels.count }

  /// - Throws: ``ModelError/wrongLabelCount(inputs:labels:)`` unless `labels` has one label per row
  ///   of `inputs`.
  public init(inputs: Tensor<Float>, labels: [Int]) throws(ModelError) {
    guard let count = inputs.shape.first, count == labels.count else {
      throw .wrongLabelCount(inputs: inputs.shape.first ?? 0, labels: labels.count)
    }
    self.init(checked: inputs, labels)
  }

  init(checked inputs: Tensor<Float>, _ labels: [Int]) {
    self.inputs = inputs
    self.labels = labels
  }

  /// Consecutive inputs and their labels; shares the inputs' memory.
  ///
  /// - Precondition: `0 ≤ range ≤ count`.
  public subscript(range: Range<Int>) -> Batch {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "\(range) of \(count) inputs")
    let size = inputs.count / max(count, 1)
    return Batch(
      checked: Tensor(
        shape: [range.count] + inputs.shape.dropFirst(), storage: inputs.storage,
        offset: inputs.offset + range.lowerBound * size),
      Array(labels[range]))
  }
}

extension Batch {
  /// The chosen inputs and their labels, copied.
  ///
  /// - Precondition: every index is in `0..<count`.
  public func selecting(_ indices: some Collection<Int>) -> Batch {
    precondition(indices.allSatisfy(labels.indices.contains), "indices of \(count) inputs")
    let size = inputs.count / max(count, 1)
    let selected = Tensor<Float>(shape: [indices.count] + inputs.shape.dropFirst()) { buffer in
      inputs.withUnsafeBufferPointer { inputs in
        for (position, index) in indices.enumerated() {
          _ = UnsafeMutableBufferPointer(rebasing: buffer[(position * size)...]).initialize(
            from: UnsafeBufferPointer(rebasing: inputs[index * size..<(index + 1) * size]))
        }
      }
    }
    return Batch(checked: selected, indices.map { labels[$0] })
  }
}
