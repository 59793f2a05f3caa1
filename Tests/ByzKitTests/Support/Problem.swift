import ByzKit

/// Points in two classes that a line separates, and softmax regression on them.
struct Problem {
  let model: SoftmaxRegression
  let data: Batch
  let key = RandomKey(7)

  init(count: Int = 96, inputs: Int = 6, classes: Int = 3) throws {
    model = try SoftmaxRegression(inputs: inputs, classes: classes)
    let noise = Tensor<Float>.normal(shape: [count, inputs], deviation: 0.3, key: RandomKey(1))
    let labels = (0..<count).map { $0 % classes }
    var inputsOfClass = noise
    for (i, label) in labels.enumerated() { inputsOfClass[i, label] += 2 }
    data = try Batch(inputs: inputsOfClass, labels: labels)
  }

  /// Nodes that call `before` with their number and then learn.
  func honest(
    _ count: Int, before: (@Sendable (Int) throws -> Void)? = nil
  ) throws -> [HonestNode] {
    let share = data.count / count
    return try (0..<count).map { node in
      try HonestNode(
        name: "honest-\(node)",
        model: before.map { hook in WatchedModel(base: model) { try hook(node) } } ?? model,
        data: data[node * share..<(node + 1) * share],
        batchSize: 8, key: key.child(UInt64(node)))
    }
  }

  func server(
    honest count: Int, attack: (any Attack)? = nil, byzantine: Int = 0, rule: any Aggregator
  ) throws -> ParameterServer {
    let honest = try honest(count)
    let liars = try (0..<byzantine).map { node in
      try ByzantineNode(
        name: "byzantine-\(node)", attack: attack ?? Empire(), own: honest[node % honest.count],
        key: key.child(UInt64(100 + node)))
    }
    return try ParameterServer(
      honest: honest, byzantine: liars, aggregator: rule,
      optimizer: SGD(learningRate: .constant(0.1), momentum: 0.9),
      parameters: model.initialParameters(key: key))
  }
}

/// A model that does something of the test's before each gradient.
struct WatchedModel: Model {
  let base: any Model
  let before: @Sendable () throws -> Void

  var parameterCount: Int { base.parameterCount }
  var inputCount: Int { base.inputCount }
  var classCount: Int { base.classCount }

  func initialParameters(key: RandomKey) -> Tensor<Float> { base.initialParameters(key: key) }

  func gradient(
    at parameters: Tensor<Float>, on batch: Batch, into gradient: inout Tensor<Float>,
    workspace: Workspace
  ) throws -> Float {
    try before()
    return try base.gradient(at: parameters, on: batch, into: &gradient, workspace: workspace)
  }

  func logits(
    at parameters: Tensor<Float>, for inputs: Tensor<Float>, workspace: Workspace
  ) throws -> Tensor<Float> {
    try base.logits(at: parameters, for: inputs, workspace: workspace)
  }
}
