import ByzKit
import ByzRuntime
import ByzTCP
import Distributed

/// Notes the calls that reach it.
distributed actor Tally: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private var calls: Set<Int>

  init(_ calls: Set<Int>, actorSystem: ByzActorSystem) {
    self.calls = calls
    self.actorSystem = actorSystem
  }

  /// How many calls have been noted with this one; nil when it was noted before.
  distributed func note(_ call: Int) -> Int? { calls.insert(call).inserted ? calls.count : nil }
}

extension FaultRun {
  /// Calls an actor behind each proxy while things fail. A call is carried out once at most, and for as long as its host lives the actor
  /// is found again, whatever becomes of its connections.
  func tallies() async throws {
    try await withActorSystem(faultRegistry, liveness: faultLiveness) { system in
      witnesses.watch(system)
      try await withThrowingDiscardingTaskGroup { group in
        for index in proxies.indices {
          group.addTask { while !self.isOver { try await self.tally(at: index, in: system) } }
        }
      }
    }
  }

  /// Calls one actor until its host has been killed, or nothing fails any more.
  private func tally(at index: Int, in system: ByzActorSystem) async throws {
    let deaths = deathCount(of: index)
    let tally: Tally
    do {
      tally = try await system.spawn(
        Tally.self, [], on: .tcp("127.0.0.1:\(proxies[index].port)", tcpOptions))
    } catch {
      // A host that was killed may have no successor.
      try check(error, among: [.workerLost, .workerStartFailed])
      return try await Task.sleep(for: .milliseconds(10))
    }
    var progress = TallyProgress()
    while !isOver {
      try await call(tally, &progress)
      if progress.isLost, deathCount(of: index) > deaths { return }
      guard !progress.isGone else {
        throw FaultFailure("An actor is gone though its host lives.")
      }
    }
    // Nothing fails any more.
    guard ending == .rightBits else { return }
    for _ in 0..<10 {
      try await call(tally, &progress)
      if !progress.isLost || deathCount(of: index) > deaths { return }
    }
    throw FaultFailure("An actor was not found again though its host lives.")
  }

  private struct TallyProgress {
    var calls = 0
    var last = 0
    /// Whether the last call was not answered.
    var isLost = false
    /// Whether it said that the actor is gone for good.
    var isGone = false
  }

  private func call(_ tally: Tally, _ progress: inout TallyProgress) async throws {
    progress.calls += 1
    do {
      guard let count = try await tally.note(progress.calls) else {
        throw FaultFailure("A call of an actor was carried out twice.")
      }
      guard count > progress.last, count <= progress.calls else {
        throw FaultFailure(
          "An actor noted \(count) calls after \(progress.last), of \(progress.calls).")
      }
      counts.withLock { [wasLost = progress.isLost] in
        $0.actorCalls += 1
        $0.returns += wasLost ? 1 : 0
      }
      (progress.last, progress.isLost) = (count, false)
    } catch let error as RuntimeError {
      try check(error, among: [.workerLost])
      progress.isLost = true
      progress.isGone = error.message.contains("spawn it again")
    }
  }

  func deathCount(of index: Int) -> Int { deaths.withLock { $0[index] } }
}
