import ByzKit
import ByzRuntime
import ByzTensor
import CByzBLAS

/// One way to do some work on an input, ready to be called again and again.
typealias Call = (Input) async throws -> Output

extension Row {
  /// The subject, called in this way; nil if there is no such call.
  func call(_ way: Way, pools: Pools) -> Call? {
    let vectors = { (input: Input) in way.isShared ? input.shared : input.vectors }
    if let pool = pools[way] {
      switch subject {
      case .aggregator(let rule):
        return { .tensors([try await rule.aggregate(vectors($0), on: pool)]) }
      case .preAggregator(let rule):
        return { .tensors(try await rule.preAggregate(vectors($0), on: pool)) }
      case .attack(let attack):
        return { .tensors([try await attack.craft(honest: vectors($0), on: pool)]) }
      case .draw, .distances: return nil
      }
    }
    switch (subject, way) {
    case (.aggregator(let rule), .fresh): return { .tensors([try rule.aggregate($0.vectors)]) }
    case (.aggregator(let rule), .into): return reusing(rule, d: d)
    case (.preAggregator(let rule), .fresh): return { .tensors(try rule.preAggregate($0.vectors)) }
    case (.preAggregator(let rule), .into):
      return reusing(rule, count: rule.outputCount(n: n), d: d)
    case (.attack(let attack), .fresh):
      return { .tensors([try attack.craft(honest: $0.vectors)]) }
    case (.attack(let attack), .into): return reusing(attack, count: 1, d: d)
    case (.draw(let attack), .fresh):
      return { [d] _ in .tensors([try attack.craft(shape: [d], key: RandomKey(1))]) }
    case (.distances, .fresh): return measureDistances
    default: return nil
    }
  }

  /// The yardstick on the same input.
  func yardstickCall() -> Call {
    switch yardstick {
    case .mean: reusing(Mean(), d: d)
    case .ssyrk: multiplyByTranspose(n: n, d: d)
    }
  }
}

/// The pools that rows are called on; one for each way that has one.
struct Pools {
  private var pools: [Way: ActorPool] = [:]

  subscript(way: Way) -> ActorPool? { pools[way] }

  /// Runs `body` with a pool for each of the ways that need one.
  static func with<R>(
    _ ways: [Way] = Way.allCases, body: (Pools) async throws -> R
  ) async throws -> R {
    try await open(ways[...], Pools(), body)
  }

  private static func open<R>(
    _ ways: ArraySlice<Way>, _ pools: Pools, _ body: (Pools) async throws -> R
  ) async throws -> R {
    guard let way = ways.first else { return try await body(pools) }
    guard let workers = way.workers else { return try await open(ways.dropFirst(), pools, body) }
    if way == .process2Heap, let pool = pools[.process2] {
      var pools = pools
      pools.pools[way] = pool
      return try await open(ways.dropFirst(), pools, body)
    }
    return try await withActorPool(workers) { pool in
      var pools = pools
      pools.pools[way] = pool
      return try await open(ways.dropFirst(), pools, body)
    }
  }
}

extension Way {
  fileprivate var workers: WorkerConfiguration? {
    switch self {
    case .fresh, .into: nil
    case .thread1: .threads(1)
    case .thread2: .threads(2)
    case .thread4: .threads(4)
    case .process1: .processes(1)
    case .process2, .process2Heap: .processes(2)
    case .process4: .processes(4)
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

private func reusing(_ rule: any Rule, count: Int, d: Int) -> Call {
  var outputs = (0..<count).map { _ in Tensor<Float>(repeating: 0, shape: [d]) }
  return { input in
    try await rule.apply(to: input.vectors, into: &outputs, in: OperatorContext())
    return .tensors(outputs)
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
