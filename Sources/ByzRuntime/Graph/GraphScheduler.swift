/// Runs graphs.
///
/// ```swift
/// let outputs = try await GraphScheduler(pool: pool).run(graph, ["gradients": gradients])
/// let step: Tensor<Float> = try outputs.value(of: "step")
/// ```
///
/// A value without state: one scheduler may run many graphs, and one graph many times, at once. The
/// outputs do not depend on the mode or the pool, as long as the operators are functions of their
/// inputs.
public struct GraphScheduler: Sendable {
  /// How many nodes run at the same time.
  public enum Mode: Hashable, Sendable {
    /// One after another, in ``ComputationGraph/executionOrder``.
    case sequential
    /// Each as soon as the values it reads are there, at most `maxConcurrentNodes` at a time; nil
    /// for no bound. A bound below 1 counts as 1.
    case dataflow(maxConcurrentNodes: Int? = nil)

    fileprivate var limit: Int {
      switch self {
      case .sequential: 1
      case .dataflow(let bound): max(1, bound ?? .max)
      }
    }
  }

  /// How many nodes run at the same time.
  public let mode: Mode
  /// Where operators run their subtasks; nil for the task of the node itself.
  public let pool: ActorPool?
  /// How many columns a subtask should have, if you have a wish; see ``OperatorContext/chunkSize``.
  public let chunkSize: Int?

  /// A scheduler; by default one for dataflow without a pool.
  public init(mode: Mode = .dataflow(), pool: ActorPool? = nil, chunkSize: Int? = nil) {
    self.mode = mode
    self.pool = pool
    self.chunkSize = chunkSize
  }

  /// Runs the nodes that the outputs need, each once.
  ///
  /// The value of a node is let go when the last node that reads it has run.
  ///
  /// - Parameters:
  ///   - graph: what to run.
  ///   - inputs: a value for each of ``ComputationGraph/inputs``; others are ignored.
  /// - Throws: ``GraphError/missingInputs(_:)`` and ``GraphError/wrongType(of:expected:actual:)``
  ///   before any node runs; the first error an operator throws, after the nodes that were running
  ///   have been cancelled and have ended; `CancellationError` when the calling task is cancelled.
  public func run(
    _ graph: ComputationGraph, _ inputs: [String: any Sendable]
  ) async throws -> GraphOutputs {
    try check(inputs, for: graph)
    let steps = graph.steps
    let outputs = Set(graph.outputs)
    var values: [Int: any Sendable] = [:]
    var state = GraphState(
      dependencies: steps.map(\.dependencies),
      outputs: Set(steps.indices.filter { outputs.contains(steps[$0].node.name) }),
      limit: mode.limit)

    try await withThrowingTaskGroup(of: (step: Int, value: any Sendable).self) { group in
      var directives = state.handle(.started)
      repeat {
        try Task.checkCancellation()
        for directive in directives {
          switch directive {
          case .release(let step): values[step] = nil
          case .run(let step):
            let node = steps[step].node
            let arguments = arguments(of: steps[step], values, inputs)
            let context = OperatorContext(
              nodeName: node.name, pool: pool, options: node.options, chunkSize: chunkSize)
            group.addTask { (step, try await node.operator.run(arguments, in: context)) }
          }
        }
        guard let done = try await group.next() else { break }
        values[done.step] = done.value
        directives = state.handle(.finished(done.step))
      } while true
    }
    return GraphOutputs(
      Dictionary(uniqueKeysWithValues: values.map { (steps[$0].node.name, $1) }))
  }

  private func check(
    _ inputs: [String: any Sendable], for graph: ComputationGraph
  ) throws(GraphError) {
    var missing: [String] = []
    for input in graph.inputs where inputs[input.name] == nil && !missing.contains(input.name) {
      missing.append(input.name)
    }
    guard missing.isEmpty else { throw .missingInputs(missing) }
    for input in graph.inputs {
      guard let value = inputs[input.name], !input.accepts(value) else { continue }
      throw .wrongType(of: input.name, expected: input.typeName, actual: "\(type(of: value))")
    }
  }

  private func arguments(
    of step: GraphStep, _ values: [Int: any Sendable], _ inputs: [String: any Sendable]
  ) -> OperatorInputs {
    var arguments: [String: any Sendable] = [:]
    for (name, other) in step.arguments { arguments[name] = values[other] }
    for (name, input) in step.given { arguments[name] = inputs[input] }
    return OperatorInputs(arguments)
  }
}
