import ByzTensor

extension Dataset {
  /// All images and their labels, of shape (count, rows, columns).
  public var batch: Batch {
    // Both arrays were checked when the data set was made.
    Batch(
      checked: Tensor(shape: [count, rows, columns]) { _ = $0.initialize(from: images) }, labels)
  }
}
