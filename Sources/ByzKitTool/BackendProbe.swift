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
  let needs: String

  var text: String {
    problem.map { "does not work: \($0)" }
      ?? "works, a median on a new worker took \(Int((milliseconds ?? 0).rounded())) ms"
  }

  /// All backends, one after another.
  static func all() async -> [BackendProbe] {
    [
      await probe("thread", needs: "nothing") { try await compare(on: .threads(1)) },
      await probe(
        "process",
        needs: "a program whose main calls runWorkerIfRequested() first, as this one does"
      ) { try await compare(on: .processes(1)) },
      await probe(
        "tcp",
        needs: "'byzkit worker' there; off this machine TLS, and a token or certificates of clients"
      ) {
        try await withWorkerServer(registry: .byzKit) { try await compare(on: $0.address) }
      },
      await probe(
        "ucx",
        needs:
          "libucx0, libucx-dev when ByzKit was built, and 'byzkit worker --ucx' there; a token "
          + "and a fabric where all are trusted"
      ) {
        try await withUCXWorkerServer(on: "127.0.0.1:0", registry: .byzKit) {
          try await compare(on: $0.address)
        }
      },
    ]
  }

  private static func compare(on address: String) async throws {
    for worker in try WorkerConfiguration.parsing(address) { try await compare(on: worker) }
  }

  private static func compare(on worker: WorkerConfiguration) async throws {
    let vectors: [Tensor<Float>] = (0..<5).map { .normal(shape: [4097], key: RandomKey($0)) }
    let result = try await withActorPool(worker, registry: .byzKit) {
      try await Median().aggregate(vectors, on: $0)
    }
    guard try result == Median().aggregate(vectors) else {
      throw Failure("the result differs from the one computed directly")
    }
  }

  private static func probe(
    _ name: String, needs: String, _ roundTrip: () async throws -> Void
  ) async -> BackendProbe {
    do {
      let time = try await ContinuousClock().measure { try await roundTrip() }
      return BackendProbe(
        name: name, works: true, problem: nil, milliseconds: time / .milliseconds(1), needs: needs)
    } catch {
      return BackendProbe(
        name: name, works: false, problem: "\(error)", milliseconds: nil, needs: needs)
    }
  }
}
