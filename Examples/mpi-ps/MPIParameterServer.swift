import ByzKit
import ByzLaunch
import ByzTCP
import Distributed
import Foundation

/// Trains on a parameter server whose workers are the other processes of an `mpirun`, `srun` or `torchrun`.
///
/// ```sh
/// mpirun -n 4 mpi-ps
/// ```
///
/// Process 0 listens at the rendezvous, where the others say where they listen; then its pool connects to them. Off one machine it
/// wants `--insecure`, on a network where nobody else is, since this example has no certificates.
@main
enum MPIParameterServer {
  static func main() async {
    do {
      let launch = try LaunchEnvironment.takeFromProcess()
      guard launch.size > 1 else {
        throw RuntimeError(.invalidConfiguration, "One process has no workers: start two or more.")
      }
      try await launch.rank == 0 ? lead(launch) : follow(launch)
    } catch {
      FileHandle.standardError.write(Data("mpi-ps: \(error)\n".utf8))
      exit(1)
    }
  }

  private static var listener: TCPListenerOptions {
    var options = TCPListenerOptions()
    options.insecure = CommandLine.arguments.contains("--insecure")
    return options
  }

  private static var connection: TCPOptions {
    var options = TCPOptions()
    options.insecure = listener.insecure
    return options
  }

  /// Process 0: waits for the others, trains on them, and compares with training alone.
  private static func lead(_ launch: LaunchEnvironment) async throws {
    let registry = Registry(actors: [Meeting.self])
    try await withWorkerServer(on: launch.rendezvous, registry: registry, listener: listener) { _ in
      let addresses = await Attendance.shared.addresses(launch.size - 1)
      var alone = try server()
      var remote = alone
      for _ in 0..<30 { try await alone.round() }
      let workers = try WorkerConfiguration.parsing(
        addresses.joined(separator: ","), options: BackendOptions(tcp: connection))
      try await withActorPool(workers, registry: .byzKit) { pool in
        for _ in 0..<30 { try await remote.round(on: pool) }
      }
      await Attendance.shared.end()
      let isSame = remote.parameters == alone.parameters
      print("\(addresses.count) workers, \(remote.roundsDone) rounds, same bits: \(isSame)")
    }
  }

  /// The others: work until process 0 has ended the meeting, or is gone.
  private static func follow(_ launch: LaunchEnvironment) async throws {
    let isLocal = launch.rendezvous.host == "127.0.0.1"
    let host = isLocal ? "127.0.0.1" : ProcessInfo.processInfo.hostName
    try await withWorkerServer(
      on: TCPAddress("\(host):0"), registry: .byzKit, listener: listener
    ) { worker in
      try await withActorSystem(Registry(actors: [Meeting.self])) { system in
        let backend = TCPBackend(launch.rendezvous, options: connection)
        let meeting = try await system.spawn(Meeting.self, launch.rank, on: backend)
        try await meeting.attend(worker.address)
      }
    }
  }

  /// Six honest nodes with data of their own, and one that turns the mean round.
  private static func server() throws -> ParameterServer {
    let model = try SoftmaxRegression(inputs: 8, classes: 3)
    let honest = try (0..<6).map { node in
      let inputs = Tensor<Float>.normal(shape: [64, 8], key: RandomKey(UInt64(node)))
      let labels = (0..<64).map { inputs[$0, 0] > 0.5 ? 2 : inputs[$0, 1] > 0 ? 1 : 0 }
      return try HonestNode(
        name: "honest-\(node)", model: model, data: Batch(inputs: inputs, labels: labels),
        batchSize: 16, key: RandomKey(100 + UInt64(node)))
    }
    return try ParameterServer(
      honest: honest,
      byzantine: [ByzantineNode(name: "byzantine", attack: Empire(scale: -10), key: RandomKey(7))],
      aggregator: Median(), optimizer: SGD(learningRate: 0.1),
      parameters: model.initialParameters(key: RandomKey(1)))
  }
}

/// Where the others say that they are there.
distributed actor Meeting: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private let rank: Int

  init(_ rank: Int, actorSystem: ByzActorSystem) {
    self.rank = rank
    self.actorSystem = actorSystem
  }

  /// Returns when the meeting is over.
  distributed func attend(_ address: String) async {
    await Attendance.shared.attend(rank, address)
  }
}

/// Who is at the meeting of process 0.
actor Attendance {
  static let shared = Attendance()
  private var members: [Int: String] = [:]
  private var isOver = false
  private var expected = 0
  private var waitingForAll: CheckedContinuation<Void, Never>?
  private var waitingForEnd: [CheckedContinuation<Void, Never>] = []

  func attend(_ rank: Int, _ address: String) async {
    members[rank] = address
    if members.count == expected {
      waitingForAll?.resume()
      waitingForAll = nil
    }
    if !isOver { await withCheckedContinuation { waitingForEnd.append($0) } }
  }

  /// The addresses of so many others, by rank.
  func addresses(_ count: Int) async -> [String] {
    expected = count
    if members.count < count { await withCheckedContinuation { waitingForAll = $0 } }
    return members.sorted { $0.key < $1.key }.map(\.value)
  }

  func end() {
    isOver = true
    for waiting in waitingForEnd { waiting.resume() }
    waitingForEnd = []
  }
}
