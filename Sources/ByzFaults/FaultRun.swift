import ByzKit
import ByzRuntime
import ByzTCP
import ByzTensor
import ByzUCX
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
  /// Rounds in which a subtask's worker was lost three times, which is as often as a server tries. They are asked for again.
  var roundsGivenUp = 0
  /// Letters that came out of a mailbox, each once.
  var letters = 0
  /// Letters of which their author was told that they may be in or not.
  var unknownLetters = 0
  /// Rounds of nodes that learn from each other, and runs of theirs that were replayed.
  var gossipRounds = 0
  var gossipReplays = 0
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
    roundsGivenUp += other.roundsGivenUp
    letters += other.letters
    unknownLetters += other.unknownLetters
    gossipRounds += other.gossipRounds
    gossipReplays += other.gossipReplays
    actorCalls += other.actorCalls
    returns += other.returns
    typedErrors += other.typedErrors
    rightBits += other.rightBits
    typedEndings += other.typedEndings
  }
}

/// One run: a pool of processes and of workers over TCP and UCX that does errands, rules and training rounds, actors on other hosts that are
/// called and that write letters, and nodes in child processes that learn from each other, while workers and links fail.
final class FaultRun: Sendable {
  let ending: Ending
  let key: RandomKey
  let counts = Monitor(FaultCounts())
  private let hasEnded = Monitor(false)
  /// Whether work was given up, because nobody was left to do it.
  private let isGivenUp = Monitor(false)
  /// What nothing may keep when the run has ended.
  let witnesses: Witnesses
  /// Those behind the proxies, in their order, and then those that are reached over UCX.
  private let servers = Monitor<[WorkerProcess]>([])
  let proxies: [Proxy]
  /// Hosts that have been killed and have no successor yet.
  private let dead = Monitor<Set<pid_t>>([])
  /// How often the hosts behind the proxies have been killed.
  let deaths: Monitor<[Int]>
  private let processCount: Int
  private let threadCount: Int
  private let ucxPorts: [Int]
  private let hasGossip: Bool

  /// - Parameter hasAll: whether it has a worker over UCX, where there is UCX, and nodes that learn from each other, whatever the seed says.
  init(seed: UInt64, witnesses: Witnesses, hasAll: Bool = false) throws {
    self.witnesses = witnesses
    ending = Ending(seed: seed)
    key = RandomKey(seed)
    var dice = RandomStream(key.derived(for: "pool"))
    processCount = 1 + dice.integer(below: 3)
    let hasThread = dice.integer(below: 4) == 0
    threadCount = hasThread && ending == .rightBits ? 1 : 0
    let tcpCount = dice.integer(below: 3)
    let servers = try (0..<tcpCount).map { _ in try WorkerProcess(over: .tcp) }
    deaths = Monitor([Int](repeating: 0, count: tcpCount))
    proxies = try servers.map { try Proxy(to: $0.port) }
    let hasUCX = dice.integer(below: 3) == 0 || hasAll
    let ucxCount = hasUCX && UCX.isAvailable ? 1 : 0
    let ucxServers = try (0..<ucxCount).map { _ in try WorkerProcess(over: .ucx) }
    ucxPorts = ucxServers.map(\.port)
    hasGossip = dice.integer(below: 4) == 0 || hasAll
    self.servers.withLock { $0 = servers + ucxServers }
    witnesses.watch(self)
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
    for (index, port) in ucxPorts.enumerated() {
      configurations.append(
        WorkerConfiguration(
          backend: .ucx("127.0.0.1:\(port)"), count: 1, name: "ucx\(index)", restarts: restarts))
    }
    if threadCount > 0 { configurations.append(.threads(threadCount)) }
    try await withActorPool(configurations, registry: faultRegistry, liveness: faultLiveness) {
      pool in
      witnesses.watch(pool)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await self.errands(on: pool) }
        group.addTask { try await self.rules(on: pool) }
        group.addTask { try await self.training(on: pool) }
        group.addTask { try await self.tallies() }
        group.addTask { try await self.letters() }
        if hasGossip { group.addTask { try await self.gossip() } }
        if ending == .noQuorum { group.addTask { try await self.gathering(on: pool) } }
        try await self.fail(pool)
        try await group.waitForAll()
      }
      switch ending {
      case .noWorker: try await self.nothingGoes(on: pool)
      // Nothing fails any more: whoever survives gives the right bits.
      case .rightBits: try await self.rulesOnce(on: pool)
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

  /// Notes that nobody is left to do work, which is the only good reason for giving it up where it is tried again for as long as there is.
  private func gaveUp(_ error: any Error, on pool: ActorPool) throws {
    try typed(error, among: [.noCapableWorker])
    guard pool.expectedWorkerCount() == 0 else {
      throw FaultFailure("Work was given up though workers are left: \(error)")
    }
  }

  /// More than are ever lost.
  private let manyAttempts = SubtaskOptions(maxAttempts: 100)

  private func errands(on pool: ActorPool) async throws {
    var batch: UInt64 = 0
    repeat {
      let work = (0..<12).map { Errand(number: batch * 100 + $0, microseconds: 8_000) }
      batch += 1
      do {
        let results = try await pool.run(work, options: manyAttempts)
        guard results == work.map(\.result) else {
          throw FaultFailure("Errands returned what is not theirs.")
        }
        counts.withLock { $0.errands += results.count }
      } catch let error as RuntimeError {
        try gaveUp(error, on: pool)
        isGivenUp.withLock { $0 = true }
        return
      }
    } while !isOver
  }

  private func rules(on pool: ActorPool) async throws {
    repeat { try await rulesOnce(on: pool) } while !isOver && pool.expectedWorkerCount() > 0
  }

  /// Each rule once, with the right bits, or nobody is left.
  private func rulesOnce(on pool: ActorPool) async throws {
    let vectors = (0..<11).map { row in
      Tensor<Float>(shape: [20_000]) { key.child(UInt64(row)).fillNormals($0) }
    }
    func check(_ rule: some Aggregator) async throws {
      let expected = try rule.aggregate(vectors)
      do {
        let result = try await rule.aggregate(
          vectors,
          in: OperatorContext(
            nodeName: rule.name, pool: pool, options: manyAttempts, chunkSize: 1_000))
        guard result.bits == expected.bits else {
          throw FaultFailure("\(rule.name) has other bits on the pool.")
        }
        counts.withLock { $0.aggregates += 1 }
      } catch let error as RuntimeError {
        try gaveUp(error, on: pool)
      }
    }
    try await check(.median)
    try await check(.multiKrum(f: 2, q: 3))
    try await check(.trimmedMean(f: 2))
  }

  private func training(on pool: ActorPool) async throws {
    let (nodes, model) = try trainingNodes(5)
    var server = try ParameterServer(
      honest: nodes, aggregator: .median, optimizer: SGD(learningRate: 0.05, momentum: 0.9),
      parameters: model.initialParameters(key: key),
      policy: RoundPolicy(quorum: 3, deadline: .milliseconds(300)))
    let beginning = server
    var records: [RoundRecord] = []
    /// Whether a step was taken.
    func once() async throws -> Bool {
      do {
        let report = try await server.round(on: pool)
        records.append(report.record)
        switch report.step {
        case .taken:
          counts.withLock { $0.rounds += 1 }
          return true
        case .tooFew: counts.withLock { $0.typedErrors += 1 }
        case let step: throw FaultFailure("A round ended with \(step).")
        }
      } catch let error as RuntimeError where error.code == .workerLost {
        counts.withLock { $0.roundsGivenUp += 1 }
      } catch let error as RuntimeError {
        try gaveUp(error, on: pool)
      }
      return false
    }
    repeat { _ = try await once() } while !isOver && pool.expectedWorkerCount() > 0
    if ending == .rightBits {
      // Nothing fails any more; those that were killed last may only now be missed.
      var hasTaken = false
      for _ in 0..<3 where !hasTaken && pool.expectedWorkerCount() > 0 {
        hasTaken = try await once()
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

  /// Nodes, and the model that they train.
  func trainingNodes(_ count: Int) throws -> ([HonestNode], SoftmaxRegression) {
    let model = try SoftmaxRegression(inputs: 16, classes: 4)
    let nodes = try (0..<count).map { node in
      let data = key.derived(node: node, round: 0, purpose: "data")
      return try HonestNode(
        name: "node \(node)", model: model,
        data: Batch(
          inputs: Tensor<Float>(shape: [24, 16]) { data.fillNormals($0) },
          labels: (0..<24).map { ($0 + node) % 4 }),
        batchSize: 8, key: data)
    }
    return (nodes, model)
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
        if killed.insert(process).inserted { counts.withLock { $0.kills += 1 } }
        kill(process, SIGKILL)
      }
      deaths.withLock { deaths in for host in deaths.indices { deaths[host] += 1 } }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  private func failOnce(
    _ dice: inout RandomStream, isUrgent: Bool, _ stopped: inout [pid_t]
  ) async throws {
    let hosts = servers.withLock { $0.map(\.identifier) }
    let dead = dead.withLock { $0 }
    let living = hosts.indices.filter { !dead.contains(hosts[$0]) }
    let children = Leftovers.children().filter { !hosts.contains($0) }.sorted()
    let choice = isUrgent ? 0 : dice.integer(below: proxies.isEmpty ? (living.isEmpty ? 5 : 6) : 10)
    // Counted before it happens: what follows from it may come soon.
    switch choice {
    case 0...2:
      guard !children.isEmpty else { return }
      counts.withLock { $0.kills += 1 }
      kill(children[dice.integer(below: children.count)], SIGKILL)
    case 3...4:
      let all = children + living.map { hosts[$0] }
      guard !all.isEmpty else { return }
      let process = all[dice.integer(below: all.count)]
      counts.withLock { $0.stops += 1 }
      kill(process, SIGSTOP)
      // Shorter and longer than what makes a silent process lost.
      try await Task.sleep(for: .milliseconds(50 + dice.integer(below: 700)))
      if dice.integer(below: 3) == 0 {
        stopped.append(process)
      } else if Leftovers.children().contains(process) {
        kill(process, SIGCONT)
      }
    case 5:
      guard !living.isEmpty else { return }
      try killHost(
        living[dice.integer(below: living.count)], hasSuccessor: dice.integer(below: 2) == 0)
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

  /// Those over UCX have no successor.
  private func killHost(_ index: Int, hasSuccessor: Bool) throws {
    let process = servers.withLock { $0[index].identifier }
    counts.withLock { $0.kills += 1 }
    kill(process, SIGKILL)
    let isProxied = proxies.indices.contains(index)
    // Before it has a successor, who knows no actor of it.
    if isProxied { deaths.withLock { $0[index] += 1 } }
    guard isProxied, hasSuccessor else {
      dead.withLock { _ = $0.insert(process) }
      return
    }
    let next = try WorkerProcess(over: .tcp)
    let old = servers.withLock { servers in
      defer { servers[index] = next }
      return servers[index]
    }
    proxies[index].lead(to: next.port)
    old.stop()
  }
}

extension Tensor<Float> {
  /// For comparing results.
  var bits: [UInt32] { withUnsafeBufferPointer { $0.map(\.bitPattern) } }
}
