/// A simulated machine: it crashes, hangs and comes back.
final class Host {
  let number: Int
  private unowned let world: World
  /// How often it has been started: what was of an earlier life is gone.
  private(set) var life = 1
  private(set) var isUp = true
  private var isHung = false
  private var delayed: [(life: Int, action: () -> Void)] = []
  /// Told when it crashes.
  private var ends: [() -> Void] = []

  init(_ number: Int, in world: World) {
    self.number = number
    self.world = world
  }

  /// Does something on the host, when it does not hang, unless it has crashed since.
  func run(in life: Int, _ action: @escaping () -> Void) {
    guard life == self.life, isUp else { return }
    if isHung {
      delayed.append((life, action))
    } else {
      action()
    }
  }

  func whenCrashed(_ action: @escaping () -> Void) { ends.append(action) }

  /// Stops for some time, as by SIGSTOP.
  func hang(for duration: Int) {
    guard isUp, !isHung else { return }
    world.note("hang", number, duration)
    isHung = true
    let life = life
    world.timeline.after(duration) { [unowned self] in
      guard life == self.life, isHung else { return }
      world.note("resume", number)
      isHung = false
      let waiting = delayed
      delayed = []
      for entry in waiting { run(in: entry.life, entry.action) }
    }
  }

  /// Ends, and starts again after some time; with nil never.
  func crash(for duration: Int?) {
    guard isUp else { return }
    world.note("crash", number, duration ?? -1)
    isUp = false
    isHung = false
    delayed = []
    let told = ends
    ends = []
    for action in told { action() }
    guard let duration else { return }
    world.timeline.after(duration) { [unowned self] in
      world.note("restart", number)
      life += 1
      isUp = true
    }
  }
}
