import ArgumentParser
import ByzKit
import ByzLaunch
import ByzTCP
import Distributed
import ExampleSupport
import Foundation

/// Trains on a parameter server whose workers are the other processes of an `mpirun`, `srun` or `torchrun`.
///
/// ```sh
/// mpirun -n 4 mpi-ps
/// ```
///
/// Process 0 listens at the rendezvous, where the others say where they listen; then its pool connects to them. Off one machine it
/// wants certificates, or `--insecure` on a network where nobody else is.
@main
struct MPIParameterServer: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mpi-ps",
    abstract: "Trains on a parameter server whose workers are the other processes of a launcher.")

  @Option(help: "The number of this process. (default: what the launcher says)") var rank: Int?
  @Option(help: "How many processes there are. (default: what the launcher says)") var size: Int?
  @Option(help: "Where process 0 listens, as HOST:PORT. (default: what the launcher says)")
  var rendezvous: String?
  @Option(help: "How many seconds the processes wait for each other.") var patience = 60
  @OptionGroup(title: "Other machines") var connection: ConnectionFlags

  func validate() throws {
    guard (1...86_400).contains(patience) else {
      throw ValidationError("--patience is \(patience): from 1 to 86400 seconds, please.")
    }
  }

  static func main() async {
    let program = parseOrExit()
    do {
      try KernelVariant.checkEnvironment()
      // Before all else: what it takes from the environment must be gone before there are other threads.
      let launch = try LaunchEnvironment.takeFromProcess(
        LaunchEnvironment.Given(
          rank: program.rank, size: program.size,
          rendezvous: try program.rendezvous.map { try TCPAddress($0) }))
      guard launch.size > 1 else {
        throw RuntimeError(.invalidConfiguration, "One process has no workers: start two or more.")
      }
      try await launch.rank == 0 ? program.lead(launch) : program.follow(launch)
    } catch {
      try? FileHandle.standardError.write(contentsOf: Data("mpi-ps: \(error)\n".utf8))
      Foundation.exit(1)
    }
  }

  /// Process 0: waits for the others, trains on them, and compares with training alone.
  private func lead(_ launch: LaunchEnvironment) async throws {
    await Attendance.shared.expect(launch.size)
    var listener = try connection.listenerOptions()
    // All may come at once, and from one machine.
    listener.maxConnections = max(listener.maxConnections, launch.size)
    listener.maxConnectionsPerAddress = max(listener.maxConnectionsPerAddress, launch.size)
    listener.maxAcceptsPerSecondPerAddress = max(
      listener.maxAcceptsPerSecondPerAddress, launch.size)
    let options = try connection.options()
    let registry = Registry(actors: [Meeting.self])
    try await withWorkerServer(on: launch.rendezvous, registry: registry, listener: listener) {
      server in
      warnIfHidden(server, launch)
      do {
        try await train(on: try await addresses(launch), options)
        await Attendance.shared.end(.success(()))
      } catch {
        await Attendance.shared.end(.failure(error))
        throw error
      }
    }
  }

  private func train(on addresses: [String], _ options: BackendOptions) async throws {
    var alone = try Self.server()
    var remote = alone
    for _ in 0..<30 { try await alone.round() }
    let workers = try WorkerConfiguration.parsing(
      addresses.joined(separator: ","), options: options)
    let statistics = try await withActorPool(workers, registry: .byzKit) { pool in
      for _ in 0..<30 { try await remote.round(on: pool) }
      return pool.statistics
    }
    let isSame = remote.parameters.hasSameBits(as: alone.parameters)
    let busy = statistics.count { $0.completed > 0 }
    try printOut("\(busy) workers, \(remote.roundsDone) rounds, same bits: \(isSame)")
    guard isSame else {
      throw RuntimeError(
        .incompatiblePeer,
        "Some workers have other kernels or another BLAS: --require-same-bits on all says which.")
    }
  }

  /// Where the others listen.
  private func addresses(_ launch: LaunchEnvironment) async throws -> [String] {
    do {
      return try await withDeadline(.seconds(patience)) {
        try await Attendance.shared.addresses()
      }
    } catch let error as RuntimeError where error.code == .deadlineExceeded {
      let present = await Attendance.shared.ranks
      let missing = (1..<launch.size).filter { !present.contains($0) }.map(String.init)
      throw RuntimeError(
        .deadlineExceeded,
        """
        Not there within \(patience) seconds: process \(missing.joined(separator: ", ")). Were all started, and can they reach \
        \(launch.rendezvous)? --patience waits longer.
        """)
    }
  }

  /// The others: work until process 0 has ended the meeting, or is gone.
  private func follow(_ launch: LaunchEnvironment) async throws {
    let host =
      Self.isLoopback(launch.rendezvous.host) ? "127.0.0.1" : ProcessInfo.processInfo.hostName
    var options = try connection.options().tcp
    // For as long as its patience lasts.
    options.retry.attempts = .max
    let meetingPlace = TCPBackend(launch.rendezvous, options: options)
    try await withWorkerServer(
      on: TCPAddress("\(host):0"), registry: .byzKit, listener: try connection.listenerOptions()
    ) { worker in
      warnIfHidden(worker, launch)
      // Certificates are for names; without one of their own, an address needs no name service.
      let needsName = options.tls != nil && options.tls?.serverName == nil
      let port = try TCPAddress(worker.address).port
      let address =
        needsName && !Self.isLoopback(host) ? "tcp://\(host):\(port)" : worker.address
      try await withActorSystem(Registry(actors: [Meeting.self])) { system in
        let meeting: Meeting
        do {
          meeting = try await withDeadline(.seconds(patience)) {
            try await system.spawn(Meeting.self, launch.rank, on: meetingPlace)
          }
        } catch let error as RuntimeError where error.code == .deadlineExceeded {
          throw RuntimeError(
            .deadlineExceeded,
            """
            Process 0 did not answer at \(launch.rendezvous) within \(patience) seconds. Was it started, and can it be reached \
            from here? --patience waits longer.
            """, cause: error.cause)
        }
        try await meeting.attend(address)
      }
    }
  }

  /// Says so when other machines cannot reach what listens here, though not all is on this one.
  private func warnIfHidden(_ server: WorkerServer, _ launch: LaunchEnvironment) {
    guard !Self.isLoopback(launch.rendezvous.host),
      let address = try? TCPAddress(server.address), Self.isLoopback(address.host)
    else { return }
    let text = """
      mpi-ps: warning: process \(launch.rank) listens at \(address), which other machines cannot reach: let /etc/hosts give this \
      machine's name another address.\n
      """
    try? FileHandle.standardError.write(contentsOf: Data(text.utf8))
  }

  private static func isLoopback(_ host: String) -> Bool {
    host == "localhost" || host == "::1" || host.hasPrefix("127.")
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
  distributed func attend(_ address: String) async throws {
    try await Attendance.shared.attend(rank, address)
  }
}

/// Who is at the meeting of process 0.
actor Attendance {
  static let shared = Attendance()
  private var size = 1
  private var members: [Int: String] = [:]
  private let (arrivals, continuation) = AsyncStream.makeStream(of: Void.self)
  private var outcome: Result<Void, any Error>?
  private var waitingForEnd: [CheckedContinuation<Void, any Error>] = []

  /// Says how many processes there are, this one included.
  func expect(_ size: Int) { self.size = size }

  func attend(_ rank: Int, _ address: String) async throws {
    guard (1..<size).contains(rank), members[rank] == nil else {
      throw RuntimeError(
        .invalidConfiguration,
        "There is a process \(rank) already, or none, of \(size). Do all have the same size?")
    }
    members[rank] = address
    continuation.yield()
    if let outcome { return try outcome.get() }
    try await withCheckedThrowingContinuation { waitingForEnd.append($0) }
  }

  var ranks: Set<Int> { Set(members.keys) }

  /// The addresses of the others, by rank, when all are there.
  func addresses() async throws -> [String] {
    for await _ in arrivals {
      let addresses = (1..<size).compactMap { members[$0] }
      if addresses.count == size - 1 { return addresses }
    }
    throw CancellationError()
  }

  func end(_ outcome: Result<Void, any Error>) {
    self.outcome = outcome
    for waiting in waitingForEnd { waiting.resume(with: outcome) }
    waitingForEnd = []
  }
}
