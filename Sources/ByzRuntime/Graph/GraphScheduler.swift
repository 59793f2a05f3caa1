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
  ///   - inbox: where messages are received, if the graph waits for any. A node begins to wait when
  ///     everything else it reads is there, and does not count as running while it waits; in
  ///     sequential mode it keeps the others waiting. A run that fails has used up what nodes that began
  ///     had received, and gives the rest back, before what has come since.
  /// - Throws: ``GraphError/missingInputs(_:)``, ``GraphError/noInbox(_:)`` and
  ///   ``GraphError/wrongType(of:expected:actual:)`` before any node runs; the first error an
  ///   operator throws, after the nodes that were running have been cancelled and have ended;
  ///   ``RuntimeError/Code/deadlineExceeded`` when a message does not come in time, and
  ///   ``GraphError/wrongType(of:expected:actual:)`` when one is of another type than its reader
  ///   asks for; `CancellationError` when the calling task is cancelled.
  public func run(
    _ graph: ComputationGraph, _ inputs: [String: any Sendable], messages inbox: MessageInbox? = nil
  ) async throws -> GraphOutputs {
    try check(inputs, for: graph)
    if inbox == nil, !graph.messageTypes.isEmpty { throw GraphError.noInbox(graph.messageTypes) }
    let steps = graph.steps
    let outputs = Set(graph.outputs)
    var values: [Int: any Sendable] = [:]
    var state = GraphState(
      dependencies: steps.map(\.dependencies),
      outputs: Set(steps.indices.filter { outputs.contains(steps[$0].node.name) }),
      limit: mode.limit,
      // In sequence the wait is part of the step.
      receivers: mode == .sequential
        ? [] : Set(steps.indices.filter { !steps[$0].received.isEmpty }))

    var waiting: [Int: Received] = [:]
    try await withThrowingTaskGroup(of: Progress.self) { group in
      var directives = state.handle(.started)
      do {
        repeat {
          try Task.checkCancellation()
          for directive in directives {
            switch directive {
            case .release(let step): values[step] = nil
            case .receive(let step):
              group.addTask { .received(step, try await Self.receive(steps[step], from: inbox)) }
            case .run(let step):
              let node = steps[step].node
              let received = waiting.removeValue(forKey: step)
              let others = arguments(of: steps[step], values, inputs)
              let context = OperatorContext(
                nodeName: node.name, pool: pool, options: node.options, chunkSize: chunkSize)
              group.addTask {
                var arguments = others
                let own =
                  if let received { received } else {
                    try await Self.receive(steps[step], from: inbox)
                  }
                arguments.merge(own.values) { $1 }
                let value = try await node.operator.run(OperatorInputs(arguments), in: context)
                return .finished(step, value)
              }
            }
          }
          switch try await group.next() {
          case .finished(let step, let value)?:
            values[step] = value
            directives = state.handle(.finished(step))
          case .received(let step, let received)?:
            waiting[step] = received
            directives = state.handle(.received(step))
          case nil: return
          }
        } while true
      } catch {
        group.cancelAll()
        while let last = await group.nextResult() {
          if case .success(.received(let step, let received)) = last { waiting[step] = received }
        }
        inbox?.putBack(waiting.values.flatMap(\.messages))
        throw error
      }
    }
    return GraphOutputs(
      Dictionary(uniqueKeysWithValues: values.map { (steps[$0].node.name, $1) }))
  }

  /// What a child task of a run has done.
  private enum Progress {
    case received(Int, Received)
    case finished(Int, any Sendable)
  }

  /// The messages that a step has taken, and what it makes of them.
  private struct Received {
    var values: [String: any Sendable] = [:]
    var messages: [MessageInbox.Taken] = []
  }

  /// Waits for a step's messages, one after another; takes all or none.
  private static func receive(
    _ step: GraphStep, from inbox: MessageInbox?
  ) async throws -> Received {
    var received = Received()
    guard let inbox else { return received }
    do {
      for (name, source) in step.received {
        let taken = try await inbox.take(source.type, timeout: source.timeout)
        // One of another type than the source's is used up: no run could do anything with it, and the error tells of it.
        received.values[name] = try source.value(of: taken.message)
        received.messages.append(taken)
      }
    } catch {
      inbox.putBack(received.messages)
      throw error
    }
    return received
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
  ) -> [String: any Sendable] {
    var arguments: [String: any Sendable] = [:]
    for (name, other) in step.arguments { arguments[name] = values[other] }
    for (name, input) in step.given { arguments[name] = inputs[input] }
    return arguments
  }
}
