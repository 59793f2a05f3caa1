extension ActorPool {
  /// Does what the dispatcher has decided.
  func carryOut(_ wakes: PoolDispatcher.Wakes) {
    wakes.resumeLanes()
    for worker in wakes.replacements {
      let isBegun = replacements.add { await self.replaceWorker(worker) }
      // Too late: the scope is ending.
      if !isBegun { giveUp(worker) }
    }
  }

  /// Makes a worker in a lost one's place, unless the policy or the end of the pool forbids it.
  private func replaceWorker(_ index: Int) async {
    let lost = dispatcher.withLock { $0.workers[index] }
    // Beside the start of the new one: how long an end takes is up to the lost one.
    async let end: Void = lost.stop()
    var wasGivenUp = (lost as? RemoteWorker)?.isGivenUp ?? false
    var hasFailed = false
    while let (delay, epoch) = budgets.withLock({
      $0[index].next(at: clock.now(), wasGivenUp: wasGivenUp, afterFailure: hasFailed)
    }) {
      do {
        try await clock.sleep(delay)
        let worker = try await makeWorker(index, named: lost.name, epoch: epoch)
        carryOut(dispatcher.withLock { $0.replace(index, by: worker, epoch: epoch) })
        watch(worker, at: index, epoch: epoch)
        return await end
      } catch {
        if Task.isCancelled { break }
        wasGivenUp = false
        hasFailed = true
      }
    }
    giveUp(index)
    await end
  }

  private func giveUp(_ index: Int) {
    carryOut(dispatcher.withLock { $0.handle(.workerGivenUp(index)) })
  }
}
