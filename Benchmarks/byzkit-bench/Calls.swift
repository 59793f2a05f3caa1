import ByzKit
import ByzTensor
import CByzBLAS

/// One way to do some work on an input, ready to be called again and again.
typealias Call = (Input) async throws -> Output

extension Subject {
  /// This subject, called in this way; nil if there is no such call.
  func call(_ way: Way, pool: ActorPool, d: Int) -> Call? {
    switch (self, way) {
    case (.aggregator(let rule), .fresh): { .tensors([try rule.aggregate($0.vectors)]) }
    case (.aggregator(let rule), .into): reusing(rule, d: d)
    case (.aggregator(let rule), .pool):
      { .tensors([try await rule.aggregate($0.vectors, on: pool)]) }
    case (.preAggregator(let rule), .fresh): { .tensors(try rule.preAggregate($0.vectors)) }
    case (.preAggregator(let rule), .pool):
      { .tensors(try await rule.preAggregate($0.vectors, on: pool)) }
    case (.attack(let attack), .fresh): { .tensors([try attack.craft(honest: $0.vectors)]) }
    case (.attack(let attack), .pool):
      { .tensors([try await attack.craft(honest: $0.vectors, on: pool)]) }
    case (.draw(let attack), .fresh):
      { _ in .tensors([try attack.craft(shape: [d], key: RandomKey(1))]) }
    case (.distances, .fresh): measureDistances
    case (.gradient(let model), .into): differentiating(model)
    default: nil
    }
  }
}

extension Yardstick {
  func call(n: Int, d: Int) -> Call {
    switch self {
    case .mean: reusing(Mean(), d: d)
    case .distances: measureDistances
    case .ssyrk: multiplyByTranspose(n: n, d: d)
    }
  }
}

private func reusing(_ rule: any Aggregator, d: Int) -> Call {
  var out = Tensor<Float>(repeating: 0, shape: [d])
  return { input in
    try rule.aggregate(input.vectors, into: &out)
    return .tensors([out])
  }
}

private func measureDistances(_ input: Input) throws -> Output {
  let rows = try Rows(input.vectors)
  return .numbers(rows.measure(.distances, columns: 0..<rows.columns), columns: rows.count)
}

private func multiplyByTranspose(n: Int, d: Int) -> Call {
  var product = [Float](repeating: 0, count: n * n)
  return { input in
    try BLAS.load()
    input.matrix.withUnsafeBufferPointer { x in
      byz_ssyrk(Int32(n), Int32(d), 1, x.baseAddress!, Int32(d), 0, &product, Int32(n))
    }
    return .numbers([], columns: n)
  }
}

/// Loss and gradient.
private func differentiating(_ model: any Model) -> Call {
  let parameters = model.initialParameters(key: ReferenceNetwork.key)
  var gradient = Tensor<Float>(repeating: 0, shape: [model.parameterCount])
  let workspace = Workspace()
  return { input in
    let batch = try Batch(
      inputs: input.matrix, labels: ReferenceNetwork.labels(input.vectors.count))
    let loss = try model.gradient(
      at: parameters, on: batch, into: &gradient, workspace: workspace)
    return .tensors([[loss], gradient])
  }
}
