import ByzKit
import ByzRuntime
import ByzTCP
import ByzTensor
import Glibc

/// What happened in a run, and in all of them.
struct FaultCounts: Codable, Sendable {
  var kills = 0
  var stops = 0
  var resets = 0
  var stalls = 0
  var delays = 0
  /// Workers lost with work in flight.
  var losses = 0
  var replacements = 0
  /// Results that came out, each with the right bits.
  var errands = 0
  var aggregates = 0
  var rounds = 0
  /// Calls of actors that were answered, each once.
  var actorCalls = 0
  /// Actors that were found again after their connections broke.
  var returns = 0
  /// Work that ended with a typed error.
  var typedErrors = 0
  /// Runs in which all work could be done, and was.
  var rightBits = 0
  /// Runs in which some could not, and ended in the typed error that says why.
  var typedEndings = 0

  mutating func add(_ other: FaultCounts) {
    kills += other.kills
    stops += other.stops
    resets += other.resets
    stalls += other.stalls
    delays += other.delays
    losses += other.losses
    replacements += other.replacements
    errands += other.errands
    aggregates += other.aggregates
    rounds += other.rounds
    actorCalls += other.actorCalls
    returns += other.returns
    typedErrors += other.typedErrors
    rightBits += other.rightBits
    typedEndings += other.typedEndings
  }
}

/// One run: a pool of processes and TCP workers that does errands, rules and training rounds, and an actor on each host that is called, while
/// workers and links fail.
final class FaultRun: Sendable {
  let ending: Ending
  private let key: RandomKey
  let counts = Monitor(FaultCounts())
  private let hasEnded = Monitor(false)
  /// Whether work was given up, because nobody was left to do it.
  private let isGivenUp = Monitor(false)
  private let servers = Monitor<[WorkerProcess]>([])
  let proxies: [Proxy]
  /// How often the hosts behind the proxies have been killed.
  let deaths: Monitor<[Int]>
  private let processCount: Int
  private let threadCount: Int

  init(seed: UInt64) throws {
    ending = Ending(seed: seed)
    key = RandomKey(seed)
    var dice = RandomStream(key.derived(for: "pool"))
    processCount = 1 + dice.integer(below: 3)
    let hasThread = dice.integer(below: 4) == 0
    threadCount = hasThread && ending == .rightBits ? 1 : 0
    let tcpCount = dice.integer(below: 3)
    let servers = try (0..<tcpCount).map { _ in try WorkerProcess() }
    deaths = Monitor([Int](repeating: 0, count: tcpCount))
    proxies = try servers.map { try Proxy(to: $0.port) }
    self.servers.withLock { $0 = servers }
  }

  /// Whether nothing fails any more.
  var isOver: Bool { hasEnded.withLock { $0 } }

  var tcpOptions: TCPOptions {
    var options = TCPOptions()
    options.retry.attempts = 3
    return options
  }

  /// Does the run and cleans up after it.
  ///
  /// - Throws: ``FaultFailure`` when a promise was broken.
  func run() async throws -> FaultCounts {
    defer {
      for server in servers.withLock({ $0 }) { server.stop() }
      for proxy in proxies { proxy.stop() }
    }
    var dice = RandomStream(key.derived(for: "restarts"))
    let restarts = RestartPolicy(
      maxRestarts: ending == .noWorker ? dice.integer(below: 2) : 6, backOff: .milliseconds(10))
    var configurations = [
      WorkerConfiguration(
        backend: ProcessBackend(), count: processCount, name: "process", restarts: restarts)
    ]
    for (index, proxy) in proxies.enumerated() {
      configurations.append(
        WorkerConfiguration(
          backend: .tcp("127.0.0.1:\(proxy.port)", tcpOptions), count: 1, name: "tcp\(index)",
          restarts: restarts))
    }
    if threadCount > 0 { configurations.append(.threads(threadCount)) }
    try await withActorPool(configurations, registry: faultRegistry, liveness: faultLiveness) {
      pool in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await self.errands(on: pool) }
        group.addTask { try await self.rules(on: pool) }
        group.addTask { try await self.training(on: pool) }
        group.addTask { try await self.tallies() }
        if ending == .noQuorum { group.addTask { try await self.gathering(on: pool) } }
        try await self.fail(pool)
        try await group.waitForAll()
      }
      switch ending {
      case .noWorker: try await self.nothingGoes(on: pool)
      case .rightBits: try await self.survivorsWork(on: pool)
      case .noQuorum: break
      }
      let statistics = pool.statistics
      counts.withLock { counts in
        counts.losses = pool.lostSubtaskCount
        counts.replacements = statistics.reduce(0) { $0 + $1.restarts }
      }
    }
    var result = counts.withLock { $0 }
    guard result.losses > 0 else { throw FaultFailure("No work was lost: \(result)") }
    if ending == .rightBits && !isGivenUp.withLock({ $0 }) {
      result.rightBits = 1
    } else {
      result.typedEndings = 1
    }
    return result
  }

  // MARK: - Work

  /// Notes that work has ended with one of these errors.
  func typed(_ error: any Error, among codes: [RuntimeError.Code]) throws {
    try check(error, among: codes)
    counts.withLock { $0.typedErrors += 1 }
  }

  func check(_ error: any Error, among codes: [RuntimeError.Code]) throws {
    guard let error = error as? RuntimeError, codes.contains(error.code) else {
      throw FaultFailure("An error of no expected type: \(error)")
    }
  }

  private func errands(on pool: ActorPool) async throws {
    var batch: UInt64 = 0
    repeat {
      let work = (0..<12).map { Errand(number: batch * 100 + $0, microseconds: 8_000) }
      batch += 1
      do {
        let results = try await pool.run(work, options: SubtaskOptions(maxAttempts: 100))
        guard results == work.map(\.result) else {
          throw FaultFailure("Errands returned what is not theirs.")
        }
        counts.withLock { $0.errands += results.count }
      } catch let error as RuntimeError {
        // With so many attempts there is only one good reason: nobody is left.
        try typed(error, among: [.noCapableWorker])
        guard pool.expectedWorkerCount() == 0 else {
          throw FaultFailure("Work was given up though workers are left: \(error)")
        }
        isGivenUp.withLock { $0 = true }
        return
      }
    } while !isOver
  }

  private func rules(on pool: ActorPool) async throws {
    repeat {
      // A subtask whose worker is lost three times is given up.
      try await rulesOnce(on: pool, errors: [.noCapableWorker, .workerLost])
    } while !isOver && pool.expectedWorkerCount() > 0
  }

  /// Each rule once, with the right bits or one of these errors.
  private func rulesOnce(on pool: ActorPool, errors codes: [RuntimeError.Code]) async throws {
    let vectors = (0..<11).map { row in
      Tensor<Float>(shape: [20_000]) { key.child(UInt64(row)).fillNormals($0) }
    }
    func check(_ rule: some Aggregator) async throws {
      let expected = try rule.aggregate(vectors)
      do {
        let result = try await rule.aggregate(vectors, on: pool, chunkSize: 1_000)
        guard result.bits == expected.bits else {
          throw FaultFailure("\(rule.name) has other bits on the pool.")
        }
        counts.withLock { $0.aggregates += 1 }
      } catch let error as RuntimeError {
        try typed(error, among: codes)
      }
    }
    try await check(.median)
    try await check(.multiKrum(f: 2, q: 3))
    try await check(.trimmedMean(f: 2))
  }

  /// When nothing fails any more, whoever survives gives the right bits.
  private func survivorsWork(on pool: ActorPool) async throws {
    // Those that were killed last may only now be missed.
    for _ in 0..<3 {
      let before = counts.withLock { $0.aggregates }
      try await rulesOnce(on: pool, errors: [.noCapableWorker, .workerLost])
      if counts.withLock({ $0.aggregates }) == before + 3 || pool.expectedWorkerCount() == 0 {
        return
      }
    }
    throw FaultFailure("Rules were given up though workers are left.")
  }

  private func training(on pool: ActorPool) async throws {
    let model = try SoftmaxRegression(inputs: 16, classes: 4)
    let nodes = try (0..<5).map { node in
      let data = key.derived(node: node, round: 0, purpose: "data")
      return try HonestNode(
        name: "node \(node)", model: model,
        data: Batch(
          inputs: Tensor<Float>(shape: [24, 16]) { data.fillNormals($0) },
          labels: (0..<24).map { ($0 + node) % 4 }),
        batchSize: 8, key: data)
    }
    var server = try ParameterServer(
      honest: nodes, aggregator: .median, optimizer: SGD(learningRate: 0.05, momentum: 0.9),
      parameters: model.initialParameters(key: key),
      policy: RoundPolicy(quorum: 3, deadline: .milliseconds(300)))
    let beginning = server
    var records: [RoundRecord] = []
    repeat {
      do {
        let report = try await server.round(on: pool)
        records.append(report.record)
        if case .tooFew = report.step { counts.withLock { $0.typedErrors += 1 } }
        if case .taken = report.step { counts.withLock { $0.rounds += 1 } }
      } catch let error as RuntimeError {
        try typed(error, among: [.noCapableWorker, .workerLost])
      }
    } while !isOver && pool.expectedWorkerCount() > 0
    if ending == .rightBits {
      // Nothing fails any more; those that were killed last may only now be missed.
      var hasTaken = false
      for _ in 0..<3 where !hasTaken && pool.expectedWorkerCount() > 0 {
        do {
          let report = try await server.round(on: pool)
          records.append(report.record)
          if case .taken = report.step { hasTaken = true }
        } catch let error as RuntimeError {
          try typed(error, among: [.noCapableWorker, .workerLost])
        }
      }
      guard hasTaken || pool.expectedWorkerCount() == 0 else {
        throw FaultFailure("A round was given up though workers are left.")
      }
    }
    var replayed = beginning
    for record in records { try await replayed.replay(record) }
    guard replayed.parameters.bits == server.parameters.bits else {
      throw FaultFailure("Replaying the record of the rounds leads to other parameters.")
    }
  }

  // MARK: - Faults

  /// Makes things fail until enough has, and work has been lost.
  private func fail(_ pool: ActorPool) async throws {
    defer { hasEnded.withLock { $0 = true } }
    var dice = RandomStream(key.derived(for: "faults"))
    let wanted = 2 + dice.integer(below: 4)
    var stopped: [pid_t] = []
    for step in 0..<40 {
      // Between faults work goes on.
      try await Task.sleep(for: .milliseconds(20 + dice.integer(below: 100)))
      if step >= wanted, pool.lostSubtaskCount > 0 || pool.expectedWorkerCount() == 0 { break }
      try await failOnce(&dice, isUrgent: step >= wanted, &stopped)
    }
    if ending == .noWorker { try await killAll() }
    for process in stopped { kill(process, SIGCONT) }
  }

  /// Kills whatever lives, until work has been given up.
  private func killAll() async throws {
    var killed: Set<pid_t> = []
    while !isGivenUp.withLock({ $0 }) {
      for process in Leftovers.children() {
        kill(process, SIGKILL)
        killed.insert(process)
      }
      deaths.withLock { deaths in for host in deaths.indices { deaths[host] += 1 } }
      try await Task.sleep(for: .milliseconds(20))
    }
    counts.withLock { [count = killed.count] in $0.kills += count }
  }

  private func failOnce(
    _ dice: inout RandomStream, isUrgent: Bool, _ stopped: inout [pid_t]
  ) async throws {
    let hosts = servers.withLock { $0.map(\.identifier) }
    let children = Leftovers.children().filter { !hosts.contains($0) }.sorted()
    let choice = isUrgent ? 0 : dice.integer(below: proxies.isEmpty ? 5 : 10)
    switch choice {
    case 0...2:
      guard !children.isEmpty else { return }
      kill(children[dice.integer(below: children.count)], SIGKILL)
      counts.withLock { $0.kills += 1 }
    case 3...4:
      let all = children + hosts
      guard !all.isEmpty else { return }
      let process = all[dice.integer(below: all.count)]
      kill(process, SIGSTOP)
      counts.withLock { $0.stops += 1 }
      // Shorter and longer than what makes a silent process lost.
      try await Task.sleep(for: .milliseconds(50 + dice.integer(below: 700)))
      if dice.integer(below: 3) == 0 {
        stopped.append(process)
      } else if Leftovers.children().contains(process) {
        kill(process, SIGCONT)
      }
    case 5:
      let index = dice.integer(below: proxies.count)
      kill(hosts[index], SIGKILL)
      // Before it has a successor, who knows no actor of it.
      deaths.withLock { $0[index] += 1 }
      counts.withLock { $0.kills += 1 }
      guard dice.integer(below: 2) == 0 else { return }
      let next = try WorkerProcess()
      let old = servers.withLock { servers in
        defer { servers[index] = next }
        return servers[index]
      }
      proxies[index].lead(to: next.port)
      old.stop()
    case 6...7:
      proxies[dice.integer(below: proxies.count)].reset()
      counts.withLock { $0.resets += 1 }
    case 8:
      proxies[dice.integer(below: proxies.count)].stall(
        for: .milliseconds(50 + dice.integer(below: 700)))
      counts.withLock { $0.stalls += 1 }
    default:
      proxies[dice.integer(below: proxies.count)].delay(
        by: .milliseconds(dice.integer(below: 30)))
      counts.withLock { $0.delays += 1 }
    }
  }
}

extension Tensor<Float> {
  fileprivate var bits: [UInt32] { withUnsafeBufferPointer { $0.map(\.bitPattern) } }
}
