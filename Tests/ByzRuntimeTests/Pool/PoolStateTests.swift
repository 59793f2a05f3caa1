import ByzRuntime
import Testing

@Suite("PoolState")
struct PoolStateTests {
  private func pool(_ capabilities: Set<Capability>...) -> PoolState {
    PoolState(
      workers: capabilities.enumerated().map { index, capabilities in
        PoolState.Worker(name: "worker-\(index)", group: "worker", capabilities: capabilities)
      })
  }

  private func replaceablePool(_ count: Int) -> PoolState {
    PoolState(
      workers: (0..<count).map {
        PoolState.Worker(
          name: "worker-\($0)", group: "worker", capabilities: [.cpu], isReplaceable: true)
      })
  }

  private func run(
    _ call: Int, _ subtask: Int, on worker: Int, epoch: UInt32 = 0
  ) -> PoolState.Directive {
    .run(PoolState.Assignment(call: call, subtask: subtask, worker: worker, epoch: epoch))
  }

  private func submit(
    _ state: inout PoolState, _ call: Int, _ count: Int,
    _ options: SubtaskOptions = SubtaskOptions()
  ) -> [PoolState.Directive] {
    state.handle(.submitted(call: call, count: count, options))
  }

  private func finish(_ state: inout PoolState, _ worker: Int) -> [PoolState.Directive] {
    guard case .busy(let assignment) = state.workers[worker].status else { return [] }
    return state.handle(.finished(assignment, .completed, busy: .zero))
  }

  private func lose(
    _ state: inout PoolState, _ worker: Int, epoch: UInt32 = 0
  ) -> [PoolState.Directive] {
    state.handle(.workerLost(worker, epoch: epoch))
  }

  @Test(
    "a worker that ends with nothing to do is replaced when there is work, and costs it nothing")
  func endedIdle() {
    var state = replaceablePool(2)
    #expect(state.handle(.workerEnded(0, epoch: 0)) == [])
    #expect(state.handle(.workerEnded(0, epoch: 0)) == [])
    #expect(state.workerCount(offering: nil) == 1)
    #expect(state.expectedWorkerCount(offering: nil) == 2)
    #expect(state.workers[0].losses == 1)
    let once = SubtaskOptions(maxAttempts: 1)
    #expect(submit(&state, 0, 2, once) == [run(0, 0, on: 1), .replace(worker: 0)])
    #expect(state.handle(.workerReplaced(0, epoch: 1)) == [run(0, 1, on: 0, epoch: 1)])
    // The end of its earlier life is no news.
    #expect(state.handle(.workerEnded(0, epoch: 0)) == [])
    #expect(finish(&state, 0) == [] && finish(&state, 1) == [])
    #expect(state.workers.map(\.lostSubtasks) == [0, 0])
    // Nor is the end of any at the end of the pool.
    _ = state.handle(.stopped)
    #expect(state.handle(.workerEnded(1, epoch: 0)) == [])
    #expect(state.workers[1].losses == 0)
  }

  @Test(
    "a worker that ends with nothing to do is not replaced for work that others can do, or that it cannot"
  )
  func endedAndNotNeeded() {
    var state = PoolState(workers: [
      PoolState.Worker(name: "0", group: "0", capabilities: [.cpu], isReplaceable: true),
      PoolState.Worker(name: "1", group: "1", capabilities: ["gpu"], isReplaceable: true),
      PoolState.Worker(name: "2", group: "2", capabilities: [.cpu], isReplaceable: true),
    ])
    for worker in 0..<2 { #expect(state.handle(.workerEnded(worker, epoch: 0)) == []) }
    #expect(submit(&state, 0, 1) == [run(0, 0, on: 2)])
    #expect(submit(&state, 1, 1, SubtaskOptions(capability: .cpu)) == [.replace(worker: 0)])
    #expect(submit(&state, 2, 1, SubtaskOptions(capability: "gpu")) == [.replace(worker: 1)])
  }

  @Test("a worker that answers and ends has answered")
  func endedBusy() {
    var state = replaceablePool(2)
    _ = submit(&state, 0, 3, SubtaskOptions(maxAttempts: 1))
    #expect(state.handle(.workerEnded(0, epoch: 0)) == [])
    #expect(finish(&state, 0) == [.replace(worker: 0)])
    #expect(state.workers.map(\.completed) == [1, 0])
    #expect(state.workers.map(\.lostSubtasks) == [0, 0])
    #expect(finish(&state, 1) == [run(0, 2, on: 1)])
    // One that has not answered has lost what it had.
    #expect(state.handle(.workerEnded(1, epoch: 0)) == [])
    #expect(
      lose(&state, 1) == [.replace(worker: 1), .fail(call: 0, .lost(subtask: 2, attempts: 1))])
  }

  @Test("gives the first subtasks to different idle workers")
  func spread() {
    var state = pool([.cpu], [.cpu], [.cpu])
    #expect(submit(&state, 0, 2) == [run(0, 0, on: 0), run(0, 1, on: 1)])
    #expect(submit(&state, 1, 2) == [run(1, 0, on: 2)])
  }

  @Test("gives a worker that is done the next subtask, and nothing when all have begun")
  func next() {
    var state = pool([.cpu], [.cpu])
    _ = submit(&state, 0, 3)
    #expect(finish(&state, 1) == [run(0, 2, on: 1)])
    #expect(finish(&state, 0) == [])
    #expect(finish(&state, 1) == [])
  }

  @Test("lets calls take turns")
  func fairness() {
    var state = pool([.cpu])
    #expect(submit(&state, 0, 100) == [run(0, 0, on: 0)])
    #expect(submit(&state, 1, 2) == [])
    #expect(submit(&state, 2, 1) == [])
    let served = (0..<5).flatMap { _ in finish(&state, 0) }
    #expect(
      served == [
        run(0, 1, on: 0), run(1, 0, on: 0), run(2, 0, on: 0), run(0, 2, on: 0), run(1, 1, on: 0),
      ])
  }

  @Test("begins no more subtasks of a call at once than it wants, and serves others meanwhile")
  func maxInFlight() {
    var state = pool([.cpu], [.cpu], [.cpu])
    #expect(submit(&state, 0, 5, SubtaskOptions(maxInFlight: 1)) == [run(0, 0, on: 0)])
    #expect(submit(&state, 1, 9) == [run(1, 0, on: 1), run(1, 1, on: 2)])
    #expect(finish(&state, 1) == [run(1, 2, on: 1)])
    #expect(finish(&state, 0) == [run(0, 1, on: 0)])
  }

  @Test("takes the preferred worker when it is idle, by its name or its configuration's")
  func affinity() {
    var state = pool([.cpu], [.cpu])
    #expect(submit(&state, 0, 1, SubtaskOptions(affinity: "worker-1")) == [run(0, 0, on: 1)])
    // Busy: anyone will do.
    #expect(submit(&state, 1, 1, SubtaskOptions(affinity: "worker-1")) == [run(1, 0, on: 0)])
    var groups = PoolState(workers: [
      PoolState.Worker(name: "a-0", group: "a", capabilities: []),
      PoolState.Worker(name: "b-0", group: "b", capabilities: []),
    ])
    #expect(
      submit(&groups, 0, 2, SubtaskOptions(affinity: "b")) == [run(0, 0, on: 1), run(0, 1, on: 0)])
    #expect(submit(&state, 2, 0, SubtaskOptions(affinity: "nobody")) == [])
  }

  @Test(
    "gives work only to workers that have what it requires; later calls may pass those that wait"
  )
  func capabilities() {
    var state = pool([.cpu], [.cpu, "gpu"])
    let gpu = SubtaskOptions(capability: "gpu")
    #expect(submit(&state, 0, 3, gpu) == [run(0, 0, on: 1)])
    #expect(submit(&state, 1, 2) == [run(1, 0, on: 0)])
    #expect(finish(&state, 0) == [run(1, 1, on: 0)])
    #expect(finish(&state, 1) == [run(0, 1, on: 1)])
    #expect(
      submit(&state, 2, 1, SubtaskOptions(capability: "tpu"))
        == [.fail(call: 2, .noCapableWorker("tpu"))])
  }

  @Test("runs the subtask of a lost worker elsewhere, before others")
  func workerLost() {
    var state = pool([.cpu], [.cpu])
    _ = submit(&state, 0, 2)
    _ = submit(&state, 1, 5)
    #expect(lose(&state, 0) == [])
    #expect(lose(&state, 0) == [], "twice is once")
    #expect(finish(&state, 0) == [], "too late")
    #expect(finish(&state, 1) == [run(0, 0, on: 1)])
    #expect(finish(&state, 1) == [run(1, 0, on: 1)])
    #expect(state.workerCount(offering: nil) == 1)
    #expect(state.workers[0].completed == 0)
  }

  @Test("hands the subtask of a lost worker to an idle one at once")
  func workerLostWhileOthersIdle() {
    var state = pool([.cpu], [.cpu])
    _ = submit(&state, 0, 1)
    #expect(lose(&state, 0) == [run(0, 0, on: 1)])
  }

  @Test("gives up a subtask that has lost its worker too often")
  func attempts() {
    var state = pool([.cpu], [.cpu], [.cpu])
    _ = submit(&state, 0, 1, SubtaskOptions(maxAttempts: 2))
    #expect(lose(&state, 0) == [run(0, 0, on: 1)])
    #expect(lose(&state, 1) == [.fail(call: 0, .lost(subtask: 0, attempts: 2))])
    #expect(submit(&state, 1, 1) == [run(1, 0, on: 2)])
  }

  @Test("fails the calls that no worker is left for, and only those")
  func lastCapableWorkerLost() {
    var state = pool([.cpu], ["gpu"])
    _ = submit(&state, 0, 3, SubtaskOptions(capability: "gpu"))
    _ = submit(&state, 1, 3)
    #expect(lose(&state, 1) == [.fail(call: 0, .noCapableWorker("gpu"))])
    #expect(finish(&state, 0) == [run(1, 1, on: 0)])
    #expect(lose(&state, 0) == [.fail(call: 1, .noCapableWorker(nil))])
  }

  @Test("begins nothing more of a withdrawn call, even when its worker is lost")
  func withdrawal() {
    var state = pool([.cpu], [.cpu])
    _ = submit(&state, 0, 9)
    _ = submit(&state, 1, 1)
    #expect(state.handle(.withdrawn(call: 0)) == [])
    #expect(lose(&state, 0) == [])
    #expect(finish(&state, 1) == [run(1, 0, on: 1)])
    #expect(finish(&state, 1) == [])
  }

  @Test("fails waiting and later calls when it has been stopped")
  func stop() {
    var state = pool([.cpu])
    _ = submit(&state, 0, 1)
    _ = submit(&state, 1, 1)
    #expect(state.handle(.stopped) == [.fail(call: 1, .stopped)])
    #expect(submit(&state, 2, 1) == [.fail(call: 2, .stopped)])
    #expect(finish(&state, 0) == [])
  }

  @Test("counts what each worker did and for how long")
  func statistics() {
    var state = pool([.cpu])
    _ = submit(&state, 0, 3)
    let outcomes: [(PoolState.Outcome, Int)] = [(.completed, 1), (.failed, 2), (.cancelled, 4)]
    for (subtask, (outcome, seconds)) in outcomes.enumerated() {
      let assignment = PoolState.Assignment(call: 0, subtask: subtask, worker: 0)
      _ = state.handle(.finished(assignment, outcome, busy: .seconds(seconds)))
    }
    #expect(state.workers[0].completed == 1)
    #expect(state.workers[0].failed == 1)
    #expect(state.workers[0].busyTime == .seconds(7))
  }

  @Test("asks for another worker in a lost one's place, and gives the new one work")
  func replacement() {
    var state = replaceablePool(2)
    _ = submit(&state, 0, 4)
    #expect(lose(&state, 0) == [.replace(worker: 0)])
    #expect(state.workerCount(offering: nil) == 1)
    #expect(finish(&state, 1) == [run(0, 0, on: 1)])
    #expect(state.handle(.workerReplaced(0, epoch: 1)) == [run(0, 2, on: 0, epoch: 1)])
    #expect(state.workerCount(offering: nil) == 2)
    #expect(state.workers[0].losses == 1)
    #expect(state.workers[0].restarts == 1)
  }

  @Test("ignores what an earlier life of a worker reports")
  func earlierLife() {
    var state = replaceablePool(1)
    _ = submit(&state, 0, 2)
    let first = PoolState.Assignment(call: 0, subtask: 0, worker: 0)
    _ = lose(&state, 0)
    #expect(state.handle(.workerReplaced(0, epoch: 1)) == [run(0, 0, on: 0, epoch: 1)])
    #expect(state.handle(.finished(first, .completed, busy: .zero)) == [])
    #expect(lose(&state, 0, epoch: 0) == [])
    #expect(state.workers[0].completed == 0)
    #expect(state.workers[0].losses == 1)
    #expect(finish(&state, 0) == [run(0, 1, on: 0, epoch: 1)])
  }

  @Test("lets work wait for the replacement of its last worker, and fails it when there is none")
  func waitsForReplacement() {
    var state = replaceablePool(1)
    _ = submit(&state, 0, 1)
    #expect(lose(&state, 0) == [.replace(worker: 0)])
    #expect(submit(&state, 1, 1) == [])
    #expect(
      state.handle(.workerGivenUp(0)) == [
        .fail(call: 0, .noCapableWorker(nil)), .fail(call: 1, .noCapableWorker(nil)),
      ])
    #expect(state.handle(.workerReplaced(0, epoch: 1)) == [], "given up is for good")
    #expect(submit(&state, 2, 1) == [.fail(call: 2, .noCapableWorker(nil))])
  }

  @Test("asks for no replacement when it has been stopped")
  func lossAfterStop() {
    var state = replaceablePool(1)
    _ = submit(&state, 0, 1)
    _ = state.handle(.stopped)
    #expect(lose(&state, 0) == [.fail(call: 0, .stopped)])
  }

  @Test("fails what is lost after it has been stopped, though another worker is left that answers")
  func lossOfOneAfterStop() {
    var state = replaceablePool(2)
    #expect(submit(&state, 0, 2) == [run(0, 0, on: 0), run(0, 1, on: 1)])
    #expect(state.handle(.stopped) == [])
    #expect(lose(&state, 0) == [.fail(call: 0, .stopped)])
    #expect(state.handle(.workerEnded(1, epoch: 0)) == [])
    #expect(finish(&state, 1) == [])
    #expect(!state.hasWaiting(0))
  }
}
