import ByzKit
import ByzRuntime
import ByzRuntimeTestSupport
import Testing

@Suite("A node without a coordinator", .timeLimit(.minutes(2)))
struct DecentralizedNodeTests {
  private func plan(
    _ topology: Topology, byzantine: Int, rule: any Aggregator, mode: GossipMode = .synchronous,
    attack: any Attack = TwoFaced(even: LabelFlip(), odd: Gaussian())
  ) throws -> ClusterPlan {
    let problem = try Peers()
    let n = topology.nodeCount
    return try ClusterPlan(
      problem.participants(
        honest: n - byzantine, attack: attack, byzantine: byzantine, rule: rule),
      topology: topology, models: problem.models(n), mode: mode)
  }

  private func peers(_ plan: ClusterPlan) throws -> PeerToPeer {
    try PeerToPeer(
      plan.participants, topology: plan.topology, models: plan.models, mode: plan.mode)
  }

  @Test("nodes in step give the bits and the reports of the rounds in one value")
  func inStep() async throws {
    let directed = try Topology(
      nodes: 5, edges: (0..<5).flatMap { [($0, ($0 + 1) % 5), ($0, ($0 + 2) % 5)] }, directed: true)
    for topology in [try .complete(6), try .ring(7, k: 2), directed] {
      let plan = try plan(topology, byzantine: 1, rule: TrimmedMean(f: 1))
      var peers = try peers(plan)
      var expected: [[GossipReport]] = plan.participants.map { _ in [] }
      for _ in 0..<4 {
        for (node, report) in try await peers.round().enumerated() { expected[node].append(report) }
      }
      let (reports, models) = try await withCluster(plan) { cluster in
        // Two runs of two rounds: the second goes on where the first ended.
        let first = try await cluster.run(rounds: 2).map { try $0.get() }
        let second = try await cluster.run(rounds: 2).map { try $0.get() }
        return (zip(first, second).map { $0 + $1 }, try await cluster.models())
      }
      #expect(sameBits(models.compactMap { $0 }, peers.models))
      #expect(reports == expected)
    }
  }

  @Test("the records of nodes at their own pace replay to the same bits")
  func asynchronousReplay() async throws {
    let plan = try plan(
      .complete(6), byzantine: 1, rule: TrimmedMean(f: 1),
      mode: .asynchronous(quorum: 3, staleness: 2))
    let (reports, models) = try await withCluster(plan) { cluster in
      (try await cluster.run(rounds: 6).flatMap { try $0.get() }, try await cluster.models())
    }
    #expect(reports.count == 36)
    var peers = try peers(plan)
    try await peers.replay(reports.records)
    #expect(sameBits(models.compactMap { $0 }, peers.models))
  }

  /// Node 0, whose neighbors are played by the test.
  private func node(
    _ mode: GossipMode, of count: Int = 3, clock: ManualClock, deadline: Duration = .seconds(5)
  ) throws -> DecentralizedNode {
    let problem = try Peers()
    return try DecentralizedNode(
      0, problem.participants(honest: count, rule: .mean)[0], in: .complete(count),
      parameters: problem.models(1)[0], mode: mode, deadline: deadline, clock: clock)
  }

  private func zeros(_ round: Int) -> GossipMessage {
    GossipMessage(round: round, vector: Tensor(repeating: 0, shape: [21]))
  }

  /// Returns once node 0 has taken the message in: of three copies the second has been read.
  private func sendUntilRead(
    _ message: GossipMessage, from sender: Int, over network: InProcessNetwork
  ) async throws {
    for _ in 0..<3 { try await network.transport(for: sender).send(message, to: 0) }
  }

  @Test("at its deadline a node goes on with a quorum or says that it had none (ByzPy waits)")
  func deadline() async throws {
    for (quorum, outcome) in [(1, GossipReport.Outcome.moved), (2, .tooFewNeighbors)] {
      let clock = ManualClock()
      let network = InProcessNetwork(try .complete(3), capacity: 1)
      let node = try node(.synchronous(quorum: quorum), clock: clock)
      async let reports = node.run(rounds: 1, over: network.transport(for: 0))
      try await sendUntilRead(zeros(0), from: 1, over: network)
      await clock.sleepers(1)
      clock.advance(by: .seconds(5))
      let report = try await reports[0]
      #expect(report.outcome == outcome)
      #expect(report.record.used.map(\.sender) == (quorum == 1 ? [1] : []))
    }
  }

  @Test("one neighbor of three that says nothing keeps no node in step from aggregating")
  func silence() async throws {
    let clock = ManualClock()
    let network = InProcessNetwork(try .complete(4), capacity: 1)
    let node = try node(.synchronous, of: 4, clock: clock)
    async let reports = node.run(rounds: 1, over: network.transport(for: 0))
    for sender in 1..<3 { try await sendUntilRead(zeros(0), from: sender, over: network) }
    await clock.sleepers(1)
    clock.advance(by: .seconds(5))
    let report = try await reports[0]
    #expect(report.outcome == .moved)
    #expect(report.record.used.map(\.sender) == [1, 2])
  }

  @Test("a neighbor that reads nothing is named in the report (ByzPy's broadcast swallows that)")
  func undelivered() async throws {
    let clock = ManualClock()
    let network = InProcessNetwork(try .complete(3), capacity: 1)
    let node = try node(.synchronous, clock: clock)
    for sender in 1..<3 {
      let transport = network.transport(for: sender)
      try await transport.send(zeros(0), to: 0)
    }
    async let reports = node.run(rounds: 2, over: network.transport(for: 0))
    // Node 1 reads; node 2 has room for one message only.
    _ = try await network.transport(for: 1).next(from: 0)
    for sender in 1..<3 { try await sendUntilRead(zeros(1), from: sender, over: network) }
    _ = try await network.transport(for: 1).next(from: 0)
    await clock.sleepers(1)
    clock.advance(by: .seconds(5))
    let both = try await reports
    #expect(both.map(\.undelivered) == [[], [2]])
    #expect(both.map(\.outcome) == [.moved, .moved])
  }

  /// A way to one's neighbors on which nothing arrives at node 2.
  private struct Blocked<Way: GossipTransport>: GossipTransport {
    let way: Way
    private let never = BoundedQueue<Int>(capacity: 1)

    init(_ way: Way) { self.way = way }

    func send(_ message: GossipMessage, to node: Int) async throws {
      guard node == 2 else { return try await way.send(message, to: node) }
      _ = await never.next()
      throw CancellationError()
    }

    func next(from neighbor: Int) async throws -> GossipEvent {
      try await way.next(from: neighbor)
    }

    func close() { way.close() }
  }

  @Test("at its own pace a node waits for no neighbor to read, and says whom it did not reach")
  func ownPace() async throws {
    let clock = ManualClock()
    let network = InProcessNetwork(try .complete(3), capacity: 1)
    let node = try node(.asynchronous(quorum: 1, staleness: 100), clock: clock)
    let reader = network.transport(for: 1)
    try await reader.send(zeros(0), to: 0)
    async let reports = node.run(rounds: 20, over: Blocked(network.transport(for: 0)))
    // The clock stands still until the last round is over.
    var latest = -1
    while latest < 19, case .message(let message) = try await reader.next(from: 0) {
      #expect(message.round > latest)
      latest = message.round
    }
    #expect(latest == 19)
    // What comes now is of use in the next run.
    try await sendUntilRead(zeros(7), from: 1, over: network)
    while await node.roundsDone < 20 { await Task.yield() }
    await clock.sleepers(1)
    clock.advance(by: .seconds(5))
    let all = try await reports
    #expect(all.map(\.record.round) == Array(0..<20))
    #expect(all.allSatisfy { $0.outcome == .moved && $0.record.used.map(\.sender) == [1] })
    #expect(all.allSatisfy { $0.undelivered.contains(2) })
    #expect(!all[19].undelivered.contains(1))
    #expect(Set(all[19].dropped.map(\.reason)) == [.duplicate])
    #expect(await node.vectorCount == 1)
    let next = InProcessNetwork(try .complete(3))
    for sender in 1..<3 { next.transport(for: sender).close() }
    let last = try await node.run(rounds: 1, over: next.transport(for: 0))[0]
    #expect(last.record.used == [.init(sender: 1, round: 7)])
    #expect(last.undelivered == [1, 2])
  }

  @Test("two nodes at their own pace that have little room for each other end their runs")
  func ownPaceEnds() async throws {
    let plan = try plan(
      .complete(4), byzantine: 1, rule: Median(), mode: .asynchronous(quorum: 1, staleness: 0))
    let results = try await withCluster(plan, on: InProcessCluster(clock: ManualClock())) {
      try await $0.run(rounds: 50)
    }
    for result in results { #expect(try result.get().count == 50) }
  }

  @Test("a node that is cancelled while it sends its last vectors goes on where it was")
  func ownPaceCancelled() async throws {
    let clock = ManualClock()
    let network = InProcessNetwork(try .complete(3))
    let node = try node(.asynchronous(quorum: 1, staleness: 100), clock: clock)
    try await network.transport(for: 1).send(zeros(0), to: 0)
    let run = Task { try await node.run(rounds: 3, over: Blocked(network.transport(for: 0))) }
    while await node.roundsDone < 3 { await Task.yield() }
    await clock.sleepers(1)
    run.cancel()
    await #expect(throws: CancellationError.self) { _ = try await run.value }
    let next = InProcessNetwork(try .complete(3))
    for sender in 1..<3 { next.transport(for: sender).close() }
    let report = try await node.run(rounds: 1, over: next.transport(for: 0))[0]
    #expect(report.record.round == 3 && report.record.used == [.init(sender: 1, round: 0)])
  }

  @Test("at its own pace a node takes in so much of a neighbor in a round, and no more")
  func ownPaceFlood() async throws {
    let clock = ManualClock()
    let network = InProcessNetwork(try .complete(3), capacity: 1000)
    let node = try node(.asynchronous(quorum: 2, staleness: 1000), clock: clock)
    for round in 0..<1000 { try await network.transport(for: 1).send(zeros(round), to: 0) }
    async let reports = node.run(rounds: 2, over: network.transport(for: 0))
    await clock.sleepers(1)
    // Were there no bound, they would all have been read by now.
    for _ in 0..<5000 { await Task.yield() }
    try await network.transport(for: 2).send(zeros(0), to: 0)
    let both = try await reports
    #expect(both.allSatisfy { $0.outcome == .moved && $0.record.used.count == 2 })
    #expect(both[0].record.used[0].round < 64)
    #expect(await node.vectorCount == 2)
  }

  @Test("at its own pace a node hears a neighbor that catches up with it, however far behind it is")
  func ownPaceBehind() async throws {
    let clock = ManualClock()
    let network = InProcessNetwork(try .complete(3), capacity: 1000)
    let node = try node(.asynchronous(quorum: 2, staleness: 0), clock: clock)
    async let reports = node.run(rounds: 1, from: 500, over: network.transport(for: 0))
    try await network.transport(for: 2).send(zeros(500), to: 0)
    for round in 0...500 { try await network.transport(for: 1).send(zeros(round), to: 0) }
    #expect(try await reports[0].record.used.map(\.sender) == [1, 2])
  }

  @Test("at its own pace a node takes in what comes after its time, and says what it could not use")
  func ownPaceDeadline() async throws {
    let clock = ManualClock()
    let network = InProcessNetwork(try .complete(3), capacity: 1)
    let node = try node(.asynchronous(quorum: 2, staleness: 0), clock: clock)
    async let reports = node.run(rounds: 2, over: network.transport(for: 0))
    let wrong = GossipMessage(round: 0, vector: Tensor(repeating: 0, shape: [3]))
    try await sendUntilRead(wrong, from: 1, over: network)
    await clock.sleepers(1)
    clock.advance(by: .seconds(5))
    // Of its next round.
    while case .message(let message) = try await network.transport(for: 1).next(from: 0),
      message.round == 0
    {}
    for sender in 1..<3 { try await network.transport(for: sender).send(zeros(1), to: 0) }
    _ = try await network.transport(for: 2).next(from: 0)
    for sender in 1..<3 { network.transport(for: sender).close() }
    let both = try await reports
    #expect(both.map(\.outcome) == [.tooFewNeighbors, .moved])
    #expect(both[1].record.used.map(\.sender) == [1, 2])
    #expect(both.flatMap(\.dropped).first?.reason == .wrongShape([3]))
  }

  @Test("a node goes on without neighbors that leave, and with what they sent before")
  func neighborsLeave() async throws {
    let network = InProcessNetwork(try .complete(3))
    let node = try node(.synchronous, clock: ManualClock())
    let (one, two) = (network.transport(for: 1), network.transport(for: 2))
    try await one.send(zeros(0), to: 0)
    one.close()
    try await two.send(zeros(0), to: 0)
    try await two.send(zeros(1), to: 0)
    two.close()
    let reports = try await node.run(rounds: 3, over: network.transport(for: 0))
    #expect(reports.map { $0.record.used.map(\.sender) } == [[1, 2], [2], []])
    #expect(reports.map(\.undelivered) == [[1, 2], [1, 2], [1, 2]])
  }

  @Test("repeated messages are named in the report, and used once (ByzPy counts doubles)")
  func lateMessages() async throws {
    let network = InProcessNetwork(try .complete(3), capacity: 2)
    let node = try node(.synchronous, clock: ManualClock())
    async let running = node.run(rounds: 2, over: network.transport(for: 0))
    // Two are unread at most: when the last has been sent, the second has been taken in.
    for round in [0, 0, 1, 2, 3] { try await network.transport(for: 1).send(zeros(round), to: 0) }
    for round in [0, 1] { try await network.transport(for: 2).send(zeros(round), to: 0) }
    let reports = try await running
    #expect(reports.map { $0.record.used.map(\.sender) } == [[1, 2], [1, 2]])
    #expect(reports.flatMap(\.dropped).map(\.reason) == [.duplicate])
  }

  @Test("a neighbor that floods a node fills no memory (ByzPy keeps every message for ever)")
  func flood() async throws {
    let network = InProcessNetwork(try .complete(3))
    let node = try node(.synchronous, clock: ManualClock())
    async let reports = node.run(rounds: 1, over: network.transport(for: 0))
    for _ in 0..<1000 { try await network.transport(for: 1).send(zeros(0), to: 0) }
    try await network.transport(for: 2).send(zeros(0), to: 0)
    let report = try await reports[0]
    #expect(report.outcome == .moved)
    #expect(report.dropped.count == GossipReport.maxDropped)
    let listed = [report, report, report].listing(atMost: GossipReport.maxDropped + 10)
    #expect(listed.map(\.dropped) == [report.dropped, Array(report.dropped.prefix(10)), []])
    #expect(listed[2].record == report.record && listed[2].outcome == .moved)
    #expect(await node.vectorCount == 0)
    // Of rounds to come, all at once.
    let ahead = InProcessNetwork(try .complete(3), capacity: 1000)
    for round in 1...1000 { try await ahead.transport(for: 1).send(zeros(round), to: 0) }
    async let next = node.run(rounds: 1, over: ahead.transport(for: 0))
    // Were there no bound, they would all have been read by now.
    for _ in 0..<1000 { await Task.yield() }
    try await ahead.transport(for: 2).send(zeros(1), to: 0)
    let nextReport = try await next[0]
    #expect(nextReport.outcome == .moved)
    #expect(nextReport.dropped.isEmpty)
    #expect(await node.vectorCount <= GossipState.lookahead + 1)
  }

  @Test("hears all of a neighbor that waits for nobody, however slow another one is")
  func unequalPace() async throws {
    let topology = try Topology(nodes: 3, edges: [(0, 2), (1, 2)], directed: true)
    let rounds = 12
    let network = InProcessNetwork(topology, capacity: rounds)
    for sender in 0..<2 {
      let transport = network.transport(for: sender)
      for round in 0..<rounds { try await transport.send(zeros(round), to: 2) }
      transport.close()
    }
    let problem = try Peers()
    let node = try DecentralizedNode(
      2, problem.participants(honest: 3, rule: .mean)[2], in: topology,
      parameters: problem.models(1)[0], clock: ManualClock())
    let reports = try await node.run(rounds: rounds, over: network.transport(for: 2))
    let heard = reports.map { $0.record.used.map(\.sender) }
    #expect(heard == Array(repeating: [0, 1], count: rounds))
    #expect(reports.allSatisfy { $0.dropped.isEmpty })
  }

  @Test("a neighbor that is too far ahead waits, and loses nothing")
  func leaderWaits() async throws {
    let topology = try Topology(nodes: 3, edges: [(0, 2), (1, 2)], directed: true)
    let (problem, clock, rounds) = (try Peers(), ManualClock(), 12)
    let participants = try problem.participants(honest: 3, rule: .mean)
    func node(_ number: Int) throws -> DecentralizedNode {
      try DecentralizedNode(
        number, participants[number], in: topology, parameters: problem.models(1)[0], clock: clock)
    }
    let network = InProcessNetwork(topology)
    let (leader, listener) = (try node(0), try node(2))
    async let leading = leader.run(rounds: rounds, over: network.transport(for: 0))
    async let listening = listener.run(rounds: rounds, over: network.transport(for: 2))
    // Kept, and two unread.
    let lead = GossipState.lookahead + 1 + 2
    while await leader.roundsDone < lead {
      try Task.checkCancellation()
      await Task.yield()
    }
    // Did it not wait, it would be done by now.
    for _ in 0..<1000 { await Task.yield() }
    #expect(await leader.roundsDone == lead)
    for round in 0..<rounds { try await network.transport(for: 1).send(zeros(round), to: 2) }
    let sent = try await leading
    #expect(sent.allSatisfy { $0.undelivered.isEmpty })
    let reports = try await listening
    let heard = reports.map { $0.record.used.map(\.sender) }
    #expect(heard == Array(repeating: [0, 1], count: rounds))
  }

  @Test("begins where the others are, and not with a round that is over")
  func beginsLater() async throws {
    let node = try node(.synchronous, clock: ManualClock())
    let before = await node.parameters
    for (start, count) in [(5, 0), (7, 2)] {
      let network = InProcessNetwork(try .complete(3))
      for sender in 1..<3 {
        for round in start..<start + count {
          try await network.transport(for: sender).send(zeros(round), to: 0)
        }
      }
      let reports = try await node.run(
        rounds: count, from: start, over: network.transport(for: 0))
      #expect(reports.map(\.record.round) == Array(start..<start + count))
      #expect(reports.allSatisfy { $0.outcome == .moved })
      #expect(await node.roundsDone == start + count)
      // The model stays what it was until the node takes part.
      let after = await node.parameters
      #expect(after.hasSameBits(as: before) == (count == 0))
    }
    for start in [8, -1, Int.max] {
      let error = await #expect(throws: RuntimeError.self) {
        try await node.run(
          rounds: 1, from: start, over: InProcessNetwork(.complete(3)).transport(for: 0))
      }
      #expect(error?.code == .invalidConfiguration)
    }
  }

  static let modes = [GossipMode.synchronous, .asynchronous(quorum: 2, staleness: 1)]

  @Test("cancelling the caller ends a node that waits, and it can run again", arguments: modes)
  func cancellation(mode: GossipMode) async throws {
    let clock = ManualClock()
    let node = try node(mode, clock: clock)
    let network = InProcessNetwork(try .complete(3))
    let waiting = Task { try await node.run(rounds: 1, over: network.transport(for: 0)) }
    await clock.sleepers(1)
    waiting.cancel()
    await #expect(throws: CancellationError.self) { _ = try await waiting.value }
    #expect(await node.roundsDone == 0)
    let again = InProcessNetwork(try .complete(3))
    for sender in 1..<3 { again.transport(for: sender).close() }
    #expect(try await node.run(rounds: 1, over: again.transport(for: 0)).count == 1)
  }

  @Test(
    "a second run at the same time is refused (ByzPy's overlapping pipelines mix their results)")
  func oneRunAtATime() async throws {
    let clock = ManualClock()
    let node = try node(.synchronous, clock: clock)
    let network = InProcessNetwork(try .complete(3))
    async let reports = node.run(rounds: 1, over: network.transport(for: 0))
    await clock.sleepers(1)
    await #expect(throws: PeerToPeerError.alreadyRunning(node: 0)) {
      try await node.run(rounds: 1, over: InProcessNetwork(.complete(3)).transport(for: 0))
    }
    for sender in 1..<3 { try await network.transport(for: sender).send(zeros(0), to: 0) }
    #expect(try await reports.map(\.outcome) == [.moved])
  }

  @Test("rounds pass while the clock stands still (ByzPy sleeps in every round)")
  func noSleeping() async throws {
    let plan = try plan(.ring(6, k: 2), byzantine: 1, rule: Median())
    let results = try await withCluster(plan, on: InProcessCluster(clock: ManualClock())) {
      try await $0.run(rounds: 5)
    }
    #expect(try results.allSatisfy { try $0.get().count == 5 })
  }

  /// A transport that breaks at once.
  private struct Broken: GossipTransport {
    struct Cut: Error {}
    func send(_ message: GossipMessage, to node: Int) async throws { throw Cut() }
    func next(from neighbor: Int) async throws -> GossipEvent { throw Cut() }
    func close() {}
  }

  @Test(
    "an error of the transport reaches the caller (ByzPy's message loop ends silently)",
    arguments: modes)
  func brokenTransport(mode: GossipMode) async throws {
    let node = try node(mode, clock: ManualClock())
    await #expect(throws: Broken.Cut.self) { _ = try await node.run(rounds: 1, over: Broken()) }
  }

  @Test("times and counts that are none are refused: a node with them is not made, or does not run")
  func impossibleNumbers() async throws {
    let node = try node(.synchronous, clock: ManualClock())
    await #expect(throws: RuntimeError.self) { _ = try await node.run(rounds: -1, over: Broken()) }
    let peers = try Peers()
    let honest = try Participant.honest(
      peers.honest(1)[0], aggregator: .median, optimizer: peers.optimizer)
    let model = peers.equalModels(3)[0]
    for deadline in [
      Duration.seconds(-1), Duration(secondsComponent: .max, attosecondsComponent: 0),
    ] {
      #expect(throws: RuntimeError.self) {
        try DecentralizedNode(0, honest, in: .complete(3), parameters: model, deadline: deadline)
      }
    }
    let liar = try Participant(
      ParticipantSpecification(
        .byzantine(name: "liar", attack: "empire:scale=-5", own: nil, key: peers.key),
        aggregator: "median", optimizer: peers.optimizer))
    #expect(throws: PeerToPeerError.negativeStaleness(.min)) {
      try DecentralizedNode(
        0, liar, in: .complete(3), parameters: model,
        mode: .asynchronous(quorum: 0, staleness: .min))
    }
  }

  @Test("a plan that cannot work is refused before a node lives")
  func impossiblePlan() async throws {
    let problem = try Peers()
    let plan = ClusterPlan(
      try problem.participants(honest: 3, rule: .krum(f: 2)), topology: try .complete(3),
      models: problem.models(3))
    await #expect(throws: PeerToPeerError.self) { try await withCluster(plan) { _ in } }
  }
}
