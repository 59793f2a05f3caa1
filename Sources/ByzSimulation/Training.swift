import ByzKit
import ByzRuntime

/// Rounds of training with a quorum and a deadline on a pool: the production ``GatherState`` in virtual time, carried out as
/// ``ActorPool/gather(_:operands:options:preferring:until:)`` carries it out.
final class Training {
  private unowned let world: World
  private let pool: PoolShell
  private let nodes: Int
  private let quorum: Int
  private let deadline: Int
  private let rounds: Int
  /// The model: one number that every gradient changes.
  private var parameters: UInt64 = 1
  private var records: [RoundRecord] = []
  private let done: () -> Void

  init(on pool: PoolShell, in world: World, done: @escaping () -> Void) {
    self.pool = pool
    self.world = world
    self.done = done
    nodes = world.pick(2...6)
    quorum = world.pick(0...nodes)
    deadline = world.pick(5_000...300_000)
    rounds = world.pick(2...6)
  }

  func begin() {
    guard records.count < rounds else { return finish() }
    let round = records.count
    world.counts.rounds += 1
    world.note("round", round)
    Gathering(self, round, on: pool, in: world).begin()
  }

  private func finish() {
    // The record alone must lead to the same parameters.
    var replayed: UInt64 = 1
    for record in records {
      let before = replayed
      for node in record.participants {
        replayed = Self.step(replayed, by: work(node, record.round, before).result)
      }
    }
    if replayed != parameters { world.violate("Replaying the record leads to other parameters.") }
    world.note("trained", Int(truncatingIfNeeded: replayed), records.count)
    done()
  }

  private static func step(_ parameters: UInt64, by gradient: UInt64) -> UInt64 {
    (parameters ^ gradient) &* 0x100_0000_01B3
  }

  private func work(_ node: Int, _ round: Int, _ parameters: UInt64) -> Work {
    Work(node, round, parameters)
  }

  /// One round.
  private final class Gathering {
    private let training: Training
    private let round: Int
    private let pool: PoolShell
    private let world: World
    private var state: GatherState
    private var gradients: [UInt64?]
    private var calls: [Int?]
    private var failures = 0
    private var isLate = false
    private var isOver = false

    init(_ training: Training, _ round: Int, on pool: PoolShell, in world: World) {
      self.training = training
      self.round = round
      self.pool = pool
      self.world = world
      state = GatherState(count: training.nodes, quorum: training.quorum)
      gradients = Array(repeating: nil, count: training.nodes)
      calls = Array(repeating: nil, count: training.nodes)
    }

    func begin() {
      world.timeline.after(training.deadline) { [self] in
        guard !isOver else { return }
        isLate = true
        take(.deadlinePassed)
      }
      for node in 0..<training.nodes {
        var work = training.work(node, round, training.parameters)
        work.duration = world.chance(0.1) ? world.pick(50_000...600_000) : world.pick(100...20_000)
        work.fails = world.chance(0.05)
        let call = pool.run([work], options: SubtaskOptions(affinity: "sim-\(node)")) { [self] in
          calls[node] = nil
          ended(node, $0)
        }
        if !isOver, gradients[node] == nil { calls[node] = call }
      }
    }

    private func ended(_ node: Int, _ result: Result<[UInt64], RuntimeError>) {
      guard !isOver else { return }
      switch result {
      case .success(let values):
        gradients[node] = values[0]
        take(.returned)
      case .failure:
        failures += 1
        take(world.plant == .quorumCountsFailures ? .returned : .failed)
      }
    }

    private func take(_ event: GatherState.Event) {
      isOver = state.handle(event)
      let participants = gradients.indices.filter { gradients[$0] != nil }
      guard isOver else {
        if isLate, participants.count >= training.quorum {
          world.violate("Round \(round) waits though it is late and has its quorum.")
        }
        if participants.count + failures == training.nodes {
          world.violate("Round \(round) waits though all have ended.")
        }
        return
      }
      world.note("gathered", round, participants.count)
      for case let call? in calls { pool.cancel(call) }
      let counted =
        participants.count + (world.plant == .quorumCountsFailures ? failures : 0)
      if counted >= training.quorum {
        if participants.count < training.quorum {
          world.violate("Round \(round) went on without its quorum.")
        }
        if !isLate, participants.count + failures < training.nodes {
          world.violate("Round \(round) did not wait for those in time.")
        }
        for node in participants {
          training.parameters = Training.step(training.parameters, by: gradients[node]!)
        }
        training.records.append(RoundRecord(round: round, participants: participants))
      } else {
        if training.nodes - failures >= training.quorum {
          world.violate("Round \(round) was given up though its quorum was possible.")
        }
        training.records.append(RoundRecord(round: round, participants: []))
      }
      world.timeline.after(0) { [training] in training.begin() }
    }
  }
}
