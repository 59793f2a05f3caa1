import ByzKit
import ByzLaunch
import ByzTCP
import ByzUCX

/// Whether a backend works here: found out by a round trip.
struct BackendProbe: Encodable {
  let name: String
  let works: Bool
  /// Why it does not.
  let problem: String?
  /// How long it took to make a worker and have it compute a median.
  let milliseconds: Double?
  /// How many subtasks the worker completed for it.
  let subtasks: Int
  let needs: String

  var text: String {
    problem.map { "does not work: \($0)" }
      ?? "works, a median on a new worker took \(Int((milliseconds ?? 0).rounded())) ms"
  }

  /// All backends, one after another.
  static func all() async -> [BackendProbe] {
    [
      await probe("thread", needs: "nothing") { try await compute(on: .threads(1)) },
      await probe(
        "process",
        needs: "a program whose main calls runWorkerIfRequested() first, as this one does"
      ) { try await compute(on: .processes(1)) },
      await probe(
        "tcp",
        needs: "'byzkit worker' there; off this machine TLS, and a token or certificates of clients"
      ) {
        try await withWorkerServer(registry: .byzKit) { try await compute(on: $0.address) }
      },
      await probe(
        "ucx",
        needs:
          "libucx0, libucx-dev when ByzKit was built, and 'byzkit worker --ucx' there; a token "
          + "and a fabric where all are trusted"
      ) {
        try await withUCXWorkerServer(on: "127.0.0.1:0", registry: .byzKit) {
          try await compute(on: $0.address)
        }
      },
    ]
  }

  private static func compute(on address: String) async throws -> Int {
    var subtasks = 0
    for worker in try WorkerConfiguration.parsing(address) {
      subtasks += try await compute(on: worker)
    }
    return subtasks
  }

  /// Has a new worker compute a median in parts, which the caller would do by itself otherwise.
  private static func compute(on worker: WorkerConfiguration) async throws -> Int {
    let vectors: [Tensor<Float>] = (0..<5).map { .normal(shape: [4097], key: RandomKey($0)) }
    let (result, workers) = try await withActorPool(worker, registry: .byzKit) {
      (try await Median().aggregate(vectors, on: $0, chunkSize: 1024), $0.statistics)
    }
    guard try result.hasSameBits(as: Median().aggregate(vectors)) else {
      throw Failure("the result differs from the one computed directly")
    }
    guard workers.allSatisfy({ $0.completed > 0 }) else {
      throw Failure("the worker was given nothing to do")
    }
    return workers.reduce(0) { $0 + $1.completed }
  }

  private static func probe(
    _ name: String, needs: String, _ roundTrip: () async throws -> Int
  ) async -> BackendProbe {
    let start = ContinuousClock.now
    do {
      let subtasks = try await roundTrip()
      return BackendProbe(
        name: name, works: true, problem: nil,
        milliseconds: (.now - start) / .milliseconds(1), subtasks: subtasks, needs: needs)
    } catch {
      return BackendProbe(
        name: name, works: false, problem: "\(error)", milliseconds: nil, subtasks: 0, needs: needs)
    }
  }
}
