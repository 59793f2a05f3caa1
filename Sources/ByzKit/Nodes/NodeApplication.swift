public import ByzRuntime

/// What a node can do: graphs with names, run on a pool that the node was lent.
///
/// ```swift
/// var application = NodeApplication(name: "node-3", scheduler: GraphScheduler(pool: pool))
/// try application.register("aggregate", graph)
/// let outputs = try await application.run("aggregate", ["gradients": gradients])
/// ```
///
/// A value: each run has a state of its own, so runs may overlap, also of one pipeline. It never
/// stops the pool, which belongs to whoever made it.
public struct NodeApplication: Sendable {
  /// The node's name, for errors.
  public let name: String
  /// How and where the graphs run.
  public let scheduler: GraphScheduler
  /// The names of the pipelines, in the order they were registered.
  public private(set) var pipelines: [String] = []
  private var graphs: [String: ComputationGraph] = [:]

  /// A node without pipelines.
  public init(name: String, scheduler: GraphScheduler = GraphScheduler()) {
    self.name = name
    self.scheduler = scheduler
  }

  /// Gives a graph a name to run it by.
  ///
  /// - Throws: ``NodeApplicationError/duplicatePipeline(_:node:)``; the one before stays.
  public mutating func register(
    _ pipeline: String, _ graph: ComputationGraph
  ) throws(NodeApplicationError) {
    guard graphs[pipeline] == nil else { throw .duplicatePipeline(pipeline, node: name) }
    graphs[pipeline] = graph
    pipelines.append(pipeline)
  }

  /// Runs a pipeline.
  ///
  /// - Parameters:
  ///   - pipeline: its name.
  ///   - inputs: a value for each input of its graph; others are ignored.
  ///   - inbox: where its messages are received, if it waits for any.
  /// - Throws: ``NodeApplicationError/unknownPipeline(_:node:known:)``, else as
  ///   `GraphScheduler.run(_:_:messages:)`.
  public func run(
    _ pipeline: String, _ inputs: [String: any Sendable] = [:],
    messages inbox: MessageInbox? = nil
  ) async throws -> GraphOutputs {
    guard let graph = graphs[pipeline] else {
      throw NodeApplicationError.unknownPipeline(pipeline, node: name, known: pipelines)
    }
    return try await scheduler.run(graph, inputs, messages: inbox)
  }
}

/// Why a node has no such pipeline.
public enum NodeApplicationError: Error, Hashable, Sendable {
  /// A pipeline of this name is there already.
  case duplicatePipeline(String, node: String)
  /// There is no pipeline of this name; `known` are those there are.
  case unknownPipeline(String, node: String, known: [String])
}

extension NodeApplicationError: CustomStringConvertible {
  /// What is wrong, with the name to change.
  public var description: String {
    switch self {
    case .duplicatePipeline(let pipeline, let node):
      "Node \(node) has a pipeline \(pipeline) already: give this one another name."
    case .unknownPipeline(let pipeline, let node, let known):
      "Node \(node) has no pipeline \(pipeline); it has \(known.joined(separator: ", "))."
    }
  }
}
