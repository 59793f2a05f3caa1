import ByzKit
import Dispatch
import Foundation
import Synchronization
import Testing

private struct Down: Error {}

@Suite("Rounds that not everyone takes part in", .timeLimit(.minutes(3)))
struct RoundPolicyTests {
  private func server(
    _ problem: Problem, honest: Int = 5, byzantine: Int = 1, rule: any Aggregator = .median,
    attack: any Attack = Empire(), policy: RoundPolicy = RoundPolicy(),
    before: (@Sendable (Int) throws -> Void)? = nil
  ) throws -> ParameterServer {
    try ParameterServer(
      honest: problem.honest(honest, before: before),
      byzantine: (0..<byzantine).map {
        try ByzantineNode(name: "byzantine-\($0)", attack: attack, key: RandomKey(9))
      },
      aggregator: rule, optimizer: SGD(learningRate: .constant(0.1), momentum: 0.9),
      parameters: problem.model.initialParameters(key: problem.key), policy: policy)
  }

  @Test("a round in which every gradient is lost with its worker is no round of the liars alone")
  func lostWorkers() async throws {
    let problem = try Problem()
    var live = try server(problem, honest: 1, attack: Gaussian())
    let workers = WorkerConfiguration(backend: LosingBackend(), count: 3, restarts: .never)
    let error = await #expect(throws: RuntimeError.self) {
      try await withActorPool(workers) { try await live.round(on: $0) }
    }
    #expect(error?.code == .workerLost)
    #expect(live.roundsDone == 0)
  }

  @Test("no step is taken on lies alone, whatever fails and however few are asked for")
  func liarsAlone() async throws {
    let problem = try Problem()
    let policies = [
      RoundPolicy(), RoundPolicy(quorum: 0), RoundPolicy(quorum: 1, deadline: .milliseconds(1)),
    ]
    for policy in policies {
      var live = try server(problem, honest: 2, attack: Gaussian(), policy: policy) { _ in
        throw Down()
      }
      let start = live.parameters
      let report = try await live.round()
      #expect(report.step == .tooFew(arrived: 0, quorum: 1))
      #expect(report.participants == [2])
      #expect(live.parameters.hasSameBits(as: start))
      // A record of such a round is repeated as such.
      var again = try server(problem, honest: 2, attack: Gaussian(), policy: policy)
      #expect(try await again.replay(report.record).step == report.step)
    }
  }

  @Test("at the deadline one honest vector at least is waited for")
  func oneHonestVector() async throws {
    let problem = try Problem()
    let policy = RoundPolicy(quorum: 1, deadline: .milliseconds(1))
    // Both take longer than the deadline.
    var live = try server(problem, honest: 2, attack: Gaussian(), policy: policy) { _ in
      let end = ContinuousClock.now + .milliseconds(20)
      while ContinuousClock.now < end {}
    }
    let report = try await withActorPool(.threads(2)) { try await live.round(on: $0) }
    #expect(report.step == .taken)
    #expect(report.participants.contains { $0 < 2 })
  }

  @Test("a round goes on without a node that is late, and its record gives the same bits again")
  func late() async throws {
    let problem = try Problem()
    let gate = DispatchSemaphore(value: 0)
    // Five of six are enough, and nobody is waited for longer.
    var live = try server(problem, policy: RoundPolicy(quorum: 5, deadline: .zero)) { node in
      if node == 2 { gate.wait() }
    }
    let report = try await withActorPool(.threads(5)) { pool in
      let report = try await live.round(on: pool)
      gate.signal()
      return report
    }
    #expect(report.step == .taken)
    #expect(report.participants == [0, 1, 3, 4, 5])
    #expect(report.nodes[2].failure?.contains("late") == true)

    let json = try JSONEncoder().encode(report.record)
    let record = try JSONDecoder().decode(RoundRecord.self, from: json)
    var again = try server(problem, policy: live.policy)
    let replayed = try await again.replay(record)
    #expect(replayed.participants == report.participants)
    #expect(again.parameters.hasSameBits(as: live.parameters))
    #expect(again.roundsDone == 1)
    var everyone = try server(problem)
    try await everyone.round()
    #expect(!everyone.parameters.hasSameBits(as: live.parameters))
  }

  @Test(
    "a round ends at its limit, without a step, though nodes that never answer hold every thread")
  func limited() async throws {
    let problem = try Problem()
    let gate = DispatchSemaphore(value: 0)
    let policy = RoundPolicy(quorum: 5, deadline: .milliseconds(10), limit: .milliseconds(300))
    var server = try server(problem, policy: policy) { node in
      if node < 2 { gate.wait() }
    }
    let report = try await withActorPool(.threads(2)) { pool in
      let report = try await server.round(on: pool)
      for _ in 0..<2 { gate.signal() }
      return report
    }
    guard case .tooFew(let arrived, 5) = report.step else {
      Issue.record("\(report.step)")
      return
    }
    #expect(arrived == report.participants.count && arrived < 5)
    #expect(report.nodes[0].failure?.contains("late") == true)

    // With the quorum that is left, the rule does not wait for a thread either.
    let end = DispatchSemaphore(value: 0)
    let enough = RoundPolicy(quorum: 4, deadline: .milliseconds(10), limit: .seconds(60))
    var other = try self.server(problem, policy: enough) { node in
      if node > 2 { end.wait() }
    }
    let taken = try await withActorPool(.threads(2)) { pool in
      let report = try await other.round(on: pool, chunkSize: 8)
      for _ in 0..<2 { end.signal() }
      return report
    }
    #expect(taken.step == .taken && taken.participants == [0, 1, 2, 5])
    // In the calling task the limit is looked at between two nodes.
    var alone = try self.server(problem, policy: RoundPolicy(quorum: 5, limit: .zero))
    #expect(try await alone.round().participants.count == 2)
  }

  @Test("a late call of an earlier round does not hold up the node in the next")
  func lateCallDoesNotBlock() async throws {
    let problem = try Problem()
    let (entered, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let isFirst = Atomic(true)
    let node = try problem.honest(1) { _ in
      if isFirst.exchange(false, ordering: .relaxed) {
        entered.signal()
        gate.wait()
      }
    }[0]
    let parameters = problem.model.initialParameters(key: problem.key)
    try await withActorPool(.threads(1)) { pool in
      let context = OperatorContext(pool: pool)
      var rows = [parameters]
      let operands = Operands(
        inputs: [.float32(parameters)], residents: Residents([node]), outputs: OutputRows(&rows))
      async let late = context.run([GradientCall()], operands: operands)
      await withCheckedContinuation { continuation in
        DispatchQueue.global().async {
          entered.wait()
          continuation.resume()
        }
      }
      _ = try node.gradient(at: parameters, round: 1)
      gate.signal()
      _ = try await late
    }
  }

  @Test("a node that failed is named, and takes part again in the next round")
  func rejoin() async throws {
    let problem = try Problem()
    let isDown = Mutex(true)
    var server = try server(problem) { node in
      if node == 1, isDown.withLock({ $0 }) { throw Down() }
    }
    let first = try await server.round()
    #expect(first.participants == [0, 2, 3, 4, 5])
    #expect(first.nodes[1].failure == "Down()")
    isDown.withLock { $0 = false }
    let second = try await server.round()
    #expect(second.participants == [0, 1, 2, 3, 4, 5])
    #expect(second.nodes.allSatisfy { $0.failure == nil })
  }

  @Test("fewer vectors than the quorum are an outcome, and no step", arguments: [0, 2])
  func tooFew(workers: Int) async throws {
    let problem = try Problem()
    var server = try server(problem, policy: RoundPolicy(quorum: 6)) { node in
      if node > 2 { throw Down() }
    }
    let before = server.parameters
    let report =
      workers == 0
      ? try await server.round()
      : try await withActorPool(.threads(workers)) { try await server.round(on: $0) }
    guard case .tooFew(let arrived, 6) = report.step else {
      Issue.record("\(report.step)")
      return
    }
    #expect(arrived == report.participants.count && arrived < 6)
    #expect(server.parameters.hasSameBits(as: before))
    #expect(server.roundsDone == 1)
  }

  @Test("a rule that does not work for the number that arrived is an outcome, with the numbers")
  func refused() async throws {
    let problem = try Problem()
    var server = try server(problem, honest: 6, rule: .bulyan(f: 1)) { node in
      if node == 0 { throw Down() }
    }
    let report = try await server.round()
    guard case .refused(.illegalCount(_, n: 6, f: 1, _)) = report.step else {
      Issue.record("\(report.step)")
      return
    }
  }

  @Test("a Byzantine node that sends nothing useful is no participant")
  func byzantineFailure() async throws {
    struct Short: BlindAttack {
      func validate() {}
      func craft<Element>(shape: [Int], key: RandomKey) -> Tensor<Element> { [1, 2] }
    }
    let problem = try Problem()
    var live = try server(problem, attack: Short())
    let report = try await live.round()
    #expect(report.participants == [0, 1, 2, 3, 4])
    var again = try server(problem, attack: Short())
    try await again.replay(report.record)
    #expect(again.parameters.hasSameBits(as: live.parameters))
  }

  @Test("a record of another round, of nodes there are not, or of a node that fails is refused")
  func replayErrors() async throws {
    let problem = try Problem()
    var server = try server(problem) { node in if node == 3 { throw Down() } }
    let before = server.parameters
    await #expect(throws: ReplayError.wrongRound(expected: 0, actual: 4)) {
      try await server.replay(RoundRecord(round: 4, participants: [0, 1]))
    }
    for wrong in [[0, 6], [1, 0], [-1], [2, 2]] {
      await #expect(throws: ReplayError.invalidParticipants(wrong, nodes: 6)) {
        try await server.replay(RoundRecord(round: 0, participants: wrong))
      }
    }
    await #expect(throws: ReplayError.participantFailed(name: "honest-3", reason: "Down()")) {
      try await server.replay(RoundRecord(round: 0, participants: [0, 1, 2, 3]))
    }
    #expect(server.roundsDone == 0)
    #expect(server.parameters.hasSameBits(as: before))
  }

  @Test("a replay names the node that failed, though no quorum was left then")
  func replayNamesTheFailed() async throws {
    let problem = try Problem()
    let gate = DispatchSemaphore(value: 0)
    var server = try server(problem, policy: RoundPolicy(quorum: 6)) { node in
      if node == 0 { gate.wait() }
      guard node == 3 else { return }
      gate.signal()
      throw Down()
    }
    let everyone = RoundRecord(round: 0, participants: Array(0..<6))
    await #expect(throws: ReplayError.participantFailed(name: "honest-3", reason: "Down()")) {
      try await withActorPool(.threads(2)) { try await server.replay(everyone, on: $0) }
    }
  }

  @Test("a quorum above the number of nodes is refused before any round", arguments: [-1, 7])
  func impossibleQuorum(count: Int) throws {
    let problem = try Problem()
    #expect(throws: ModelError.self) {
      try server(problem, policy: RoundPolicy(quorum: count))
    }
  }

  @Test("a round fails, and changes nothing, when the pool has no worker left for it")
  func poolFailure() async throws {
    let problem = try Problem()
    var server = try server(problem)
    let stopped = try await withActorPool(.threads(1)) { $0 }
    await #expect(throws: RuntimeError.self) { try await server.round(on: stopped) }
    #expect(server.roundsDone == 0)
  }
}

/// Asks the first resident for the gradient of round 0.
private struct GradientCall: Subtask {
  func run(_ operands: Operands) throws -> Float {
    guard let node = operands.residents[0] as? HonestNode,
      let parameters = operands.inputs[0].typed(as: Float.self)
    else { return 0 }
    return try node.gradient(at: parameters, round: 0).loss
  }
}

/// Workers that are lost with their first subtask.
private struct LosingBackend: WorkerBackend {
  var name: String { "losing" }
  var capabilities: Set<Capability> { [.cpu] }

  func makeWorker(named name: String) async throws -> any Worker { LosingWorker(name: name) }
}

private final class LosingWorker: Worker {
  let name: String
  var isStarted: Bool { true }

  init(name: String) { self.name = name }

  func run<S: Subtask>(_ subtask: S, operands: Operands) async throws -> S.Output {
    throw RuntimeError(.workerLost, "\(name) is lost.")
  }

  func stop() async {}
}
