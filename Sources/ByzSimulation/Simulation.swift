import ByzRuntime
import ByzTensor

/// A run of the runtime's state machines and codec in virtual time, on a simulated network and simulated hosts that fail.
///
/// Everything follows from the seed: the same seed is the same run, event for event.
package struct Simulation: Sendable {
  /// What came of a run.
  package struct Outcome: Sendable {
    package let seed: UInt64
    /// Of all that happened, in order.
    package let digest: UInt64
    /// The first promise that was broken; nil if none was.
    package let violation: String?
    package let counts: SimulationCounts
    /// Every event, if they were asked for.
    package let trace: [String]
  }

  /// The rule to break; nil for none.
  package var plant: Plant?
  /// Whether to keep the events.
  package var keepsTrace = false

  package init(plant: Plant? = nil, keepsTrace: Bool = false) {
    self.plant = plant
    self.keepsTrace = keepsTrace
  }

  /// Microseconds within which all work must have ended, whatever went wrong.
  static let workLimit = 60_000_000
  /// Microseconds after which nothing may be left of the connections.
  static let closeLimit = 10_000_000

  package func run(seed: UInt64) -> Outcome {
    let world = World(seed: seed, plant: plant, keepsTrace: keepsTrace)
    switch world.pick(0...9) {
    case 0...2: gossip(world)
    case 3...5: mail(world)
    default: pool(world)
    }
    world.counts.events = world.timeline.steps
    world.dispose()
    return Outcome(
      seed: seed, digest: world.digest, violation: world.violation, counts: world.counts,
      trace: world.lines ?? [])
  }

  /// Goes on until `isDone` or a promise is broken; more time than the limit breaks one.
  private func advance(_ world: World, _ what: String, until isDone: () -> Bool) {
    while !isDone(), world.violation == nil {
      guard world.timeline.step(until: Self.workLimit) else {
        return world.violate("\(what) had not ended after \(Self.workLimit) µs.")
      }
    }
  }

  /// Lets the connections end, and sees that nothing is left.
  private func settle(_ world: World) {
    let limit = world.timeline.now + Self.closeLimit
    while world.violation == nil, world.timeline.step(until: limit) {}
    if world.pendingCount > 0 {
      world.violate("\(world.pendingCount) calls are left on connections that should have ended.")
    }
  }

  // MARK: - Work

  private func gossip(_ world: World) {
    let shell = GossipShell(in: world)
    let driver = FaultDriver(
      shell.routes, shell.hosts, mayRestart: false, in: world)
    shell.begin()
    driver.begin()
    advance(world, "Gossip") { shell.isDone }
    if world.violation == nil { shell.replay() }
    shell.close()
    settle(world)
    withExtendedLifetime((shell, driver)) { world.dispose() }
  }

  private func mail(_ world: World) {
    let shell = MailShell(in: world)
    let driver = FaultDriver(
      shell.routes, Array(shell.hosts.dropFirst()), mayRestart: true, in: world)
    shell.begin()
    driver.begin()
    advance(world, "Mail") { shell.isDone }
    shell.close()
    settle(world)
    shell.finish()
    withExtendedLifetime((shell, driver)) { world.dispose() }
  }

  private func pool(_ world: World) {
    let client = Host(0, in: world)
    let hosts = (1...world.pick(1...5)).map { Host($0, in: world) }
    let routes = hosts.map { Route(from: client, to: $0) }
    let restarts = RestartPolicy(
      maxRestarts: world.pick(0...8), backOff: .milliseconds(world.pick(1...20)))
    let pool = PoolShell(routes, restarts: restarts, in: world)
    let driver = FaultDriver(routes, hosts, mayRestart: true, in: world)
    var hasBegun = false
    var missing = 0
    var training: Training?
    pool.open {
      driver.begin()
      if world.chance(0.6) {
        missing += 1
        training = Training(on: pool, in: world) { missing -= 1 }
        training?.begin()
      }
      for call in 0..<world.pick(training == nil ? 1...4 : 0...2) {
        missing += 1
        submit(call, to: pool, in: world) { missing -= 1 }
      }
      if world.chance(0.05) { world.timeline.after(world.pick(0...2_000_000)) { pool.stop() } }
      hasBegun = true
    }
    advance(world, "Work") { hasBegun && missing == 0 && pool.pending == 0 }
    if world.faults.isCalm, world.counts.retries > 0 {
      world.violate("A worker was lost though nothing went wrong.")
    }
    pool.close()
    settle(world)
    withExtendedLifetime((pool, driver, training)) { world.dispose() }
  }

  private func submit(
    _ number: Int, to pool: PoolShell, in world: World, done: @escaping () -> Void
  ) {
    world.timeline.after(world.pick(0...1_500_000)) {
      let count = world.pick(1...12)
      let mayFail = world.chance(0.1)
      let work = (0..<count).map { subtask in
        Work(
          number, subtask, 7,
          // Some work is longer than the silence that makes a worker lost.
          duration: world.chance(0.05)
            ? world.pick(400_000...1_500_000) : world.pick(100...30_000),
          fails: mayFail && world.chance(0.2))
      }
      var options = SubtaskOptions(maxAttempts: world.pick(1...6))
      if world.chance(0.3) { options.maxInFlight = world.pick(1...3) }
      if world.chance(0.2) { options.timeout = .milliseconds(world.pick(5...500)) }
      var isDone = false
      let id = pool.run(work, options: options) { _ in
        if isDone { world.violate("Call \(number) was answered twice.") }
        isDone = true
        done()
      }
      guard world.chance(0.05) else { return }
      world.timeline.after(world.pick(0...100_000)) { pool.cancel(id) }
    }
  }
}

/// Makes things go wrong, now and then, for a while.
final class FaultDriver {
  private let routes: [Route]
  private let hosts: [Host]
  private let mayRestart: Bool
  private unowned let world: World

  init(_ routes: [Route], _ hosts: [Host], mayRestart: Bool, in world: World) {
    self.routes = routes
    self.hosts = hosts
    self.mayRestart = mayRestart
    self.world = world
  }

  func begin() {
    guard !world.faults.isCalm else { return }
    next()
  }

  private func next() {
    world.timeline.after(world.pick(1...2 * world.faults.pause)) { [unowned self] in
      guard world.timeline.now < world.faults.end else { return }
      world.counts.faults += 1
      fail()
      next()
    }
  }

  private func fail() {
    let route = routes[world.pick(0...routes.count - 1)]
    let host = hosts[world.pick(0...hosts.count - 1)]
    switch world.pick(0...9) {
    case 0...1: host.crash(for: mayRestart && world.chance(0.9) ? world.pick(1_000...500_000) : nil)
    case 2...4: host.hang(for: world.pick(10_000...1_500_000))
    case 5...6: route.current?.reset()
    case 7...8:
      world.note("partition", route.server.number)
      route.cutUntil = world.timeline.now + world.pick(10_000...1_500_000)
      // As a firewall may say so to one side.
      if world.chance(0.3) { route.current?.reset() }
    default:
      if mayRestart { route.current?.drainServer() }
    }
  }
}
