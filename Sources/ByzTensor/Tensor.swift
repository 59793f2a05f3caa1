/// An array of numbers with a shape, row-major, with value semantics.
///
/// ```swift
/// let x: Tensor<Float> = [1, 2, 3]                               // shape [3]
/// var m = try Tensor<Double>([1, 2, 3, 4, 5, 6], shape: [2, 3])
/// m[1, 2] = 60
/// let second = m.rows[1]                                         // shares m's memory until one of them changes
/// ```
///
/// Copies share memory and separate on the first write. The memory may be the heap, a buffer lent with an owner, or a mapped
/// file (``AnyTensor/init(mappingNpy:)``). A shape may be empty: a scalar with one element.
public struct Tensor<Element: TensorElement>: Sendable {
  /// The extent of each dimension, outermost first.
  public let shape: [Int]
  /// The number of elements: the product of `shape`.
  public let count: Int
  package private(set) var storage: TensorStorage
  /// Where the first element lies in `storage`, in elements.
  package private(set) var offset: Int

  /// A view into storage that already exists; the caller has checked that it is large enough.
  package init(shape: [Int], storage: TensorStorage, offset: Int = 0) {
    self.shape = shape
    self.count = shape.reduce(1, *)
    self.storage = storage
    self.offset = offset
    assert((offset + count) * MemoryLayout<Element>.stride <= storage.byteCount)
  }

  /// A tensor whose elements `fill` writes; every one of them, since the memory is not cleared first.
  ///
  /// - Precondition: no extent is negative and the product of the shape fits in memory.
  public init<Failure: Error>(
    shape: [Int], filledBy fill: (UnsafeMutableBufferPointer<Element>) throws(Failure) -> Void
  ) throws(Failure) {
    precondition(shape.allSatisfy { $0 >= 0 }, "A shape has no negative extent: \(shape)")
    let count = shape.reduce(1, *)
    let storage = TensorStorage(byteCount: count * MemoryLayout<Element>.stride)
    let elements = storage.address.bindMemory(to: Element.self, capacity: count)
    try fill(UnsafeMutableBufferPointer(start: elements, count: count))
    self.init(shape: shape, storage: storage)
  }

  /// A tensor with one value everywhere.
  public init(repeating value: Element, shape: [Int]) {
    self.init(shape: shape) { $0.initialize(repeating: value) }
  }

  /// A vector: a tensor of one dimension.
  public init(_ elements: some Collection<Element>) {
    self.init(shape: [elements.count]) { buffer in _ = buffer.initialize(from: elements) }
  }

  /// The elements in row-major order, in the given shape.
  ///
  /// - Throws: ``TensorError/wrongCount(expected:actual:)`` when the shape's product is not the number of elements,
  ///   ``TensorError/invalidShape(_:)`` when it has a negative extent or overflows.
  public init(_ elements: some Collection<Element>, shape: [Int]) throws(TensorError) {
    let expected = try TensorError.checkedCount(of: shape)
    guard expected == elements.count else {
      throw .wrongCount(expected: expected, actual: elements.count)
    }
    self.init(shape: shape) { buffer in _ = buffer.initialize(from: elements) }
  }

  /// Lends `elements` to a tensor without copying them.
  ///
  /// `owner` must keep them in place and unchanged; the tensor holds on to it. Writing to the tensor copies first.
  ///
  /// - Throws: ``TensorError`` as ``init(_:shape:)``.
  public init(
    borrowing elements: UnsafeBufferPointer<Element>, shape: [Int], owner: AnyObject
  ) throws(TensorError) {
    let expected = try TensorError.checkedCount(of: shape)
    guard expected == elements.count else {
      throw .wrongCount(expected: expected, actual: elements.count)
    }
    guard let start = elements.baseAddress else {
      self.init(repeating: 0, shape: shape)
      return
    }
    self.init(
      shape: shape,
      storage: TensorStorage(
        lent: UnsafeMutableRawPointer(mutating: start),
        byteCount: expected * MemoryLayout<Element>.stride, isWritable: false, owner: owner))
  }
}

// MARK: - Elements

extension Tensor {
  /// Calls `body` with the elements in row-major order.
  public func withUnsafeBufferPointer<R, Failure: Error>(
    _ body: (UnsafeBufferPointer<Element>) throws(Failure) -> R
  ) throws(Failure) -> R {
    // The storage must outlive the call; `address` alone would not keep it.
    defer { withExtendedLifetime(storage) {} }
    return try body(UnsafeBufferPointer(start: address, count: count))
  }

  /// Calls `body` with the elements in row-major order, to read and write. Copies them first if anyone else can see them.
  public mutating func withUnsafeMutableBufferPointer<R, Failure: Error>(
    _ body: (UnsafeMutableBufferPointer<Element>) throws(Failure) -> R
  ) throws(Failure) -> R {
    makeUnique()
    defer { withExtendedLifetime(storage) {} }
    return try body(UnsafeMutableBufferPointer(start: address, count: count))
  }

  /// The elements in row-major order.
  public var elements: [Element] { withUnsafeBufferPointer { Array($0) } }

  /// The element at one index per dimension.
  ///
  /// - Precondition: as many indices as dimensions, each within its extent.
  public subscript(indices: Int...) -> Element {
    get { withUnsafeBufferPointer { $0[position(of: indices)] } }
    set {
      let position = position(of: indices)
      withUnsafeMutableBufferPointer { $0[position] = newValue }
    }
  }

  private func position(of indices: [Int]) -> Int {
    precondition(indices.count == shape.count, "\(indices.count) indices for shape \(shape)")
    var position = 0
    for (index, extent) in zip(indices, shape) {
      precondition(index >= 0 && index < extent, "Index \(indices) is outside of shape \(shape)")
      position = position * extent + index
    }
    return position
  }

  /// The first element.
  package var address: UnsafeMutablePointer<Element> {
    storage.address.assumingMemoryBound(to: Element.self) + offset
  }

  /// Gives this tensor memory of its own, and writable, if it has not.
  package mutating func makeUnique() {
    if storage.isWritable && isKnownUniquelyReferenced(&storage) { return }
    self = Tensor(shape: shape) { copy in
      withUnsafeBufferPointer { _ = copy.initialize(from: $0) }
    }
  }
}

// MARK: - Shapes

extension Tensor {
  /// The tensors along the first dimension, each a view that shares this one's memory; a scalar has no rows.
  public var rows: [Tensor] {
    guard let first = shape.first else { return [] }
    let rest = Array(shape.dropFirst())
    let length = rest.reduce(1, *)
    return (0..<first).map { Tensor(shape: rest, storage: storage, offset: offset + $0 * length) }
  }

  /// The same elements in another shape; shares this tensor's memory.
  ///
  /// - Throws: ``TensorError/wrongCount(expected:actual:)`` when the counts differ.
  public func reshaped(_ shape: [Int]) throws(TensorError) -> Tensor {
    let expected = try TensorError.checkedCount(of: shape)
    guard expected == count else { throw .wrongCount(expected: expected, actual: count) }
    return Tensor(shape: shape, storage: storage, offset: offset)
  }

  /// One tensor of shape `[n] + shape` from `n` tensors of equal shape; copies them.
  ///
  /// - Throws: ``TensorError/invalidShape(_:)`` for no tensors, ``TensorError/shapesDiffer(_:_:row:)``.
  public init(stacking rows: [Tensor]) throws(TensorError) {
    guard let first = rows.first else { throw .invalidShape([0]) }
    for (row, tensor) in rows.enumerated() where tensor.shape != first.shape {
      throw .shapesDiffer(first.shape, tensor.shape, row: row)
    }
    self.init(shape: [rows.count] + first.shape) { buffer in
      for (row, tensor) in rows.enumerated() {
        tensor.withUnsafeBufferPointer {
          _ = UnsafeMutableBufferPointer(rebasing: buffer[(row * first.count)...]).initialize(
            from: $0)
        }
      }
    }
  }

  /// Converts every element, rounding to nearest.
  public init<Other: TensorElement>(_ other: Tensor<Other>) {
    self.init(shape: other.shape) { buffer in
      other.withUnsafeBufferPointer { source in
        for i in source.indices { buffer.initializeElement(at: i, to: Element(source[i])) }
      }
    }
  }
}

// MARK: - Conformances

extension Tensor: Equatable {
  /// Whether shapes and elements are equal, as numbers: NaN differs from itself, and -0 equals 0.
  public static func == (a: Tensor, b: Tensor) -> Bool {
    a.shape == b.shape
      && a.withUnsafeBufferPointer { x in b.withUnsafeBufferPointer { y in x.elementsEqual(y) } }
  }

  /// Whether shapes and every bit of every element are the same.
  public func hasSameBits(as other: Tensor) -> Bool {
    shape == other.shape
      && withUnsafeBufferPointer { x in
        other.withUnsafeBufferPointer { y in
          UnsafeRawBufferPointer(x).elementsEqual(UnsafeRawBufferPointer(y))
        }
      }
  }
}

extension Tensor: ExpressibleByArrayLiteral {
  /// A vector of the listed elements.
  public init(arrayLiteral elements: Element...) { self.init(elements) }
}

extension Tensor: CustomStringConvertible {
  /// The type, the shape and at most the first eight elements.
  public var description: String {
    let shown = withUnsafeBufferPointer { $0.prefix(8).map { "\($0)" } }
    let more = count > 8 ? ", …" : ""
    return "Tensor<\(Element.self)>(\(shape): \(shown.joined(separator: ", "))\(more))"
  }
}
