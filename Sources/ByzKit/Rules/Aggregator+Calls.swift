extension Aggregator {
  /// Aggregates n vectors into one.
  ///
  /// - Parameter vectors: n tensors of one shape, any rank; nothing is copied.
  /// - Returns: a tensor of the same shape.
  /// - Throws: ``AggregationError`` when the rule refuses them; see the rule for what it needs.
  public func aggregate<Element>(_ vectors: [Tensor<Element>]) throws(AggregationError) -> Tensor<
    Element
  > {
    guard let first = vectors.first else { throw .noVectors }
    var outputs = [Tensor<Element>(uninitialized: first.shape)]
    try run(vectors, into: &outputs)
    return outputs[0]
  }

  /// Aggregates n vectors into `out`, which must have their shape. Writes in place when `out` shares its memory with no one.
  ///
  /// - Throws: ``AggregationError`` as ``aggregate(_:)-([Tensor<Element>])``; `out` is unchanged then.
  public func aggregate<Element>(
    _ vectors: [Tensor<Element>], into out: inout Tensor<Element>
  ) throws(AggregationError) {
    guard let first = vectors.first else { throw .noVectors }
    guard out.shape == first.shape else {
      throw .shapesDiffer(first: first.shape, other: out.shape, index: vectors.count)
    }
    // Moved into the array and back, so that it stays the only reference.
    var outputs = [out]
    out = Tensor(uninitialized: [0])
    defer { out = outputs[0] }
    try run(vectors, into: &outputs)
  }

  /// Aggregates the rows of a tensor of shape `(n, …)` into one of shape `(…)`.
  ///
  /// - Throws: ``AggregationError`` as ``aggregate(_:)-([Tensor<Element>])``.
  public func aggregate<Element>(_ matrix: Tensor<Element>) throws(AggregationError) -> Tensor<
    Element
  > {
    // Rows without columns take no memory, so there may be more of them than an array can list.
    guard matrix.count > 0 else { throw .noVectors }
    return try aggregate(matrix.rows)
  }

  /// Aggregates n vectors with the help of a pool: bit for bit the result of the direct call.
  ///
  /// - Parameters:
  ///   - vectors: n tensors of one shape.
  ///   - pool: whose workers do the measuring and combining.
  ///   - chunkSize: the columns that one subtask takes; changes scheduling only. By default four subtasks for each worker, fewer on
  ///     other processes, and none for work of less than about 2 ms: the caller has done it when the workers are awake.
  /// - Throws: ``AggregationError`` when the rule refuses, `RuntimeError` when the pool fails, `CancellationError`.
  public func aggregate<Element>(
    _ vectors: [Tensor<Element>], on pool: ActorPool, chunkSize: Int? = nil
  ) async throws -> Tensor<Element> {
    let context = OperatorContext(nodeName: name, pool: pool, chunkSize: chunkSize)
    return try await aggregate(vectors, in: context)
  }

  package func aggregate<Element>(
    _ vectors: [Tensor<Element>], in context: OperatorContext
  ) async throws -> Tensor<Element> {
    var vectors = vectors
    try validate(n: vectors.count)
    for rule in preAggregators { vectors = try await rule.apply(to: vectors, in: context) }
    return try await apply(to: vectors, in: context)[0]
  }

  private func run<Element>(
    _ vectors: [Tensor<Element>], into outputs: inout [Tensor<Element>]
  ) throws(AggregationError) {
    var vectors = vectors
    // The whole chain first: a refusal should not come after the work.
    try validate(n: vectors.count)
    for rule in preAggregators { vectors = try rule.apply(to: vectors) }
    let run = try RuleRun(self, on: Rows(checking: vectors))
    let combination = try run.decide()
    run.apply(combination, into: OutputRows(&outputs))
  }
}

extension PreAggregator {
  /// Makes the vectors for the next rule.
  ///
  /// - Parameter vectors: n tensors of one shape; nothing is copied.
  /// - Returns: ``outputCount(n:)`` tensors of that shape. One that is a vector as it was shares its memory until either changes.
  /// - Throws: ``AggregationError`` when the rule refuses them.
  public func preAggregate<Element>(
    _ vectors: [Tensor<Element>]
  ) throws(AggregationError) -> [Tensor<Element>] {
    try validate(n: vectors.count)
    return try apply(to: vectors)
  }

  /// The same with the help of a pool, bit for bit.
  ///
  /// - Throws: ``AggregationError`` when the rule refuses, `RuntimeError` when the pool fails, `CancellationError`.
  public func preAggregate<Element>(
    _ vectors: [Tensor<Element>], on pool: ActorPool, chunkSize: Int? = nil
  ) async throws -> [Tensor<Element>] {
    try validate(n: vectors.count)
    return try await apply(
      to: vectors, in: OperatorContext(nodeName: name, pool: pool, chunkSize: chunkSize))
  }
}

extension Rule {
  /// One pass of the rule, which has been validated: vectors in, vectors out. One that does not change is not copied.
  func apply<Element>(to vectors: [Tensor<Element>]) throws(AggregationError) -> [Tensor<Element>] {
    let run = try RuleRun(self, on: Rows(checking: vectors))
    guard treatsVectorsAlone(in: run) else { return try run.outputs(of: vectors) }
    var outputs: [Tensor<Element>] = []
    outputs.reserveCapacity(vectors.count)
    for (range, part) in run.parts { outputs += try part.outputs(of: Array(vectors[range])) }
    return outputs
  }

  /// Whether the run's vectors may be changed some at a time.
  func treatsVectorsAlone(in run: RuleRun) -> Bool {
    (self as? any PreAggregator)?.treatsEachVectorAlone == true && run.canRunInParts
  }

  func apply<Element>(
    to vectors: [Tensor<Element>], in context: OperatorContext
  ) async throws -> [Tensor<Element>] {
    let run = try RuleRun(self, on: Rows(checking: vectors))
    if context.isCallersOwn, context.chunkSize == nil, treatsVectorsAlone(in: run) {
      try Task.checkCancellation()
      return try apply(to: vectors)
    }
    let combination = try await run.decide(in: context)
    guard run.rows.count == vectors.count, let (changed, rest) = combination.withoutCopies else {
      var outputs = vectors[0].uninitialized(count: combination.outputCount)
      try await run.apply(combination, into: OutputRows(&outputs), in: context)
      return outputs
    }
    precondition(combination.outputCount == vectors.count, "A factor for each vector is needed.")
    if changed.isEmpty { return vectors }
    var outputs = vectors[0].uninitialized(count: changed.count)
    try await run.selecting(changed).apply(rest, into: OutputRows(&outputs), in: context)
    return vectors.replacing(changed, with: outputs)
  }
}

extension RuleRun {
  /// What becomes of the vectors, which are the run's rows.
  fileprivate func outputs<Element>(
    of vectors: [Tensor<Element>]
  ) throws(AggregationError) -> [Tensor<Element>] {
    let combination = try decide()
    guard rows.count == vectors.count, let (changed, rest) = combination.withoutCopies else {
      var outputs = vectors[0].uninitialized(count: combination.outputCount)
      apply(combination, into: OutputRows(&outputs))
      return outputs
    }
    precondition(combination.outputCount == vectors.count, "A factor for each vector is needed.")
    if changed.isEmpty { return vectors }
    var outputs = vectors[0].uninitialized(count: changed.count)
    selecting(changed).apply(rest, into: OutputRows(&outputs))
    return vectors.replacing(changed, with: outputs)
  }
}

extension Array {
  fileprivate func replacing(_ indices: [Int], with elements: [Element]) -> [Element] {
    var result = self
    for (i, element) in zip(indices, elements) { result[i] = element }
    return result
  }
}

extension Rows {
  init<Element>(checking vectors: [Tensor<Element>]) throws(AggregationError) {
    do { try self.init(vectors) } catch { throw AggregationError(error) }
  }
}

extension Tensor {
  /// Memory for a rule to write; the kernels write every element.
  init(uninitialized shape: [Int]) { self.init(shape: shape) { _ in } }

  fileprivate func uninitialized(count: Int) -> [Tensor] {
    (0..<count).map { _ in Tensor(uninitialized: shape) }
  }
}
