extension Aggregator {
  /// Aggregates the input `vectors`, `[Tensor<Float>]` or `[Tensor<Double>]`, into one tensor.
  ///
  /// - Throws: ``AggregationError``, or `GraphError` when the input is missing or of another type.
  public func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws
    -> any Sendable
  {
    if let vectors = inputs.optionalValue("vectors", as: [Tensor<Double>].self) {
      return try await aggregate(vectors, in: context)
    }
    return try await aggregate(inputs.value("vectors", as: [Tensor<Float>].self), in: context)
  }

  /// Adds this rule to a graph that is being built.
  public func callAsFunction<Element>(
    _ vectors: GraphValue<[Tensor<Element>]>
  ) -> GraphValue<Tensor<Element>> {
    vectors.builder.apply(self, to: ["vectors": vectors])
  }
}

extension PreAggregator {
  /// Makes the input `vectors`, `[Tensor<Float>]` or `[Tensor<Double>]`, into vectors for the next rule.
  ///
  /// - Throws: ``AggregationError``, or `GraphError` when the input is missing or of another type.
  public func run(_ inputs: OperatorInputs, in context: OperatorContext) async throws
    -> any Sendable
  {
    if let vectors = inputs.optionalValue("vectors", as: [Tensor<Double>].self) {
      try validate(n: vectors.count)
      return try await apply(to: vectors, in: context)
    }
    let vectors = try inputs.value("vectors", as: [Tensor<Float>].self)
    try validate(n: vectors.count)
    return try await apply(to: vectors, in: context)
  }

  /// Adds this rule to a graph that is being built.
  public func callAsFunction<Element>(
    _ vectors: GraphValue<[Tensor<Element>]>
  ) -> GraphValue<[Tensor<Element>]> {
    vectors.builder.apply(self, to: ["vectors": vectors])
  }
}
