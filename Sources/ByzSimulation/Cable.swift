import ByzRuntime
import ByzTensor

/// The way between two hosts, on which one connection follows another.
final class Route {
  let client: Host
  let server: Host
  /// The connection in use.
  fileprivate(set) weak var current: Cable?
  /// When a partition ends; what is before now is over.
  var cutUntil = 0

  init(from client: Host, to server: Host) {
    self.client = client
    self.server = server
  }
}

/// One connection as bytes: the production codec at both ends, and a network in between that does what networks do.
///
/// As a stream it delays, cuts and stalls bytes; otherwise it delays, reorders, duplicates and drops whole messages, and repeats
/// some on a later connection of the route.
final class Cable {
  let number: Int
  let route: Route
  private unowned let world: World
  private var directions = [Direction(), Direction()]
  fileprivate(set) var ends: [Endpoint?] = [nil, nil]
  private var isTold = [false, false]
  /// Nothing that is sent from now on travels.
  private var isBroken = false
  /// Nor does what was on its way.
  private var isCut = false
  /// What was on its way arrives no sooner.
  private var stalledUntil = 0

  private struct Direction {
    var reader = FrameReader()
    /// Chunks on their way, of a stream.
    var chunks: [[UInt8]?] = []
    var lastArrival = 0
    /// When it goes on after a partition: nobody sends again at once when the way is free.
    var resumption = (cut: 0, time: 0)
  }

  init(_ route: Route, in world: World) {
    self.route = route
    self.world = world
    world.counts.connections += 1
    number = world.counts.connections
    world.keep(self)
    route.current = self
  }

  /// Takes the end of a side: 0 for the client, 1 for the server.
  func attach(_ endpoint: Endpoint, side: Int) { ends[side] = endpoint }

  var pendingCount: Int { ends.reduce(0) { $0 + ($1?.pendingCount ?? 0) } }

  func dispose() {
    for end in ends { end?.dispose() }
    ends = [nil, nil]
  }

  // MARK: - Sending

  func send(_ message: Message, from side: Int) {
    guard !isTold[side], !isBroken else { return }
    world.counts.messages += 1
    world.note("send", number, side, Int(message.kind.rawValue))
    var bytes = Frame.head(of: message)
    for segment in message.segments { segment.withUnsafeBytes { bytes += $0 } }
    if world.faults.isStream {
      let cut = world.chance(0.2) ? world.pick(0...bytes.count) : 0
      if cut > 0 { queue(Array(bytes[..<cut]), to: 1 - side) }
      queue(Array(bytes[cut...]), to: 1 - side)
    } else {
      sendWhole(bytes, to: 1 - side)
    }
  }

  private func queue(_ chunk: [UInt8]?, to side: Int) {
    directions[side].chunks.append(chunk)
    let arrival = max(directions[side].lastArrival, world.timeline.now + delay())
    directions[side].lastArrival = arrival
    world.timeline.after(arrival - world.timeline.now) { [unowned self] in arrive(at: side) }
  }

  /// The next chunk arrives, in whatever order its bell rang; not before a partition is over.
  private func arrive(at side: Int) {
    let cut = route.cutUntil
    if cut > world.timeline.now, cut != directions[side].resumption.cut {
      directions[side].resumption = (cut, cut + world.pick(0...200_000))
    }
    let wait = max(directions[side].resumption.time, stalledUntil) - world.timeline.now
    guard wait <= 0 else {
      return world.timeline.after(wait) { [unowned self] in arrive(at: side) }
    }
    guard !directions[side].chunks.isEmpty else { return }
    if let chunk = directions[side].chunks.removeFirst() {
      deliver(chunk, to: side)
    } else {
      tell(side, RuntimeError(.workerLost, "The other side closed the connection."))
    }
  }

  private func sendWhole(_ bytes: [UInt8], to side: Int) {
    let faults = world.faults
    for copy in 0..<(world.chance(faults.duplicate) ? 2 : 1) {
      guard !world.chance(faults.drop) else {
        world.note("drop", number, side)
        continue
      }
      var arrival = max(directions[side].lastArrival, world.timeline.now + delay())
      if copy > 0 || !faults.isCalm && world.chance(0.05) {
        arrival += world.pick(0...4 * faults.delay)
      } else {
        directions[side].lastArrival = arrival
      }
      world.timeline.after(arrival - world.timeline.now) { [unowned self] in
        guard route.cutUntil <= world.timeline.now else {
          return world.note("drop in partition", number, side)
        }
        guard stalledUntil > world.timeline.now else { return deliver(bytes, to: side) }
        world.timeline.after(stalledUntil - world.timeline.now) { [unowned self] in
          deliver(bytes, to: side)
        }
      }
    }
    guard world.chance(faults.ghost) else { return }
    world.timeline.after(world.pick(200_000...2_000_000)) { [unowned self] in
      guard let later = route.current, later !== self else { return }
      world.note("ghost", number, later.number, side)
      later.deliver(bytes, to: side)
    }
  }

  private func delay() -> Int { world.pick(100...100 + world.faults.delay) }

  // MARK: - Arriving

  private func deliver(_ bytes: [UInt8], to side: Int) {
    guard let end = ends[side], !isTold[side], !isCut else { return }
    end.run { [unowned self] in
      guard !isTold[side] else { return }
      do {
        var rest = bytes[...]
        while !rest.isEmpty {
          _ = try directions[side].reader.fill { room in
            let count = min(room.count, rest.count)
            rest.withUnsafeBytes { room.copyMemory(from: .init(rebasing: $0[..<count])) }
            rest = rest.dropFirst(count)
            return count
          }
          while let message = try directions[side].reader.next() { end.receive(message) }
        }
      } catch {
        world.violate("Cable \(number): the codec refused what it had made: \(error)")
      }
    }
  }

  // MARK: - Ending

  /// The server takes no more calls on this connection, as when its process is asked to end.
  func drainServer() {
    guard let end = ends[1] else { return }
    end.run { end.drain() }
  }

  /// One side closes the connection: it is told at once, the other later or, in a partition, never.
  func close(by side: Int, _ reason: RuntimeError) {
    guard !isTold[side] else { return }
    defer { tell(side, reason) }
    guard !isBroken else { return }
    if world.faults.isStream {
      queue(nil, to: 1 - side)
    } else {
      let arrival = max(directions[1 - side].lastArrival, world.timeline.now + delay())
      world.timeline.after(arrival - world.timeline.now) { [unowned self] in
        guard route.cutUntil <= world.timeline.now else { return }
        tell(1 - side, RuntimeError(.workerLost, "The other side closed the connection."))
      }
    }
  }

  /// The connection breaks; a side that nobody tells finds out by itself, and may still get what was on its way.
  ///
  /// - Parameter side: the side that is told; nil to leave it to chance.
  func reset(telling told: Int? = nil) {
    world.note("reset", number)
    for side in 0...1 where told.map({ $0 == side }) ?? world.chance(0.8) {
      world.timeline.after(told == nil ? delay() : 0) { [unowned self] in
        tell(side, RuntimeError(.workerLost, "The connection was reset."))
      }
    }
    isBroken = true
    isCut = world.chance(0.5)
    stalledUntil = world.timeline.now + world.pick(0...200_000)
  }

  /// The host of a side has crashed: the other side may be told.
  func lose(_ side: Int) {
    isTold[side] = true
    guard world.chance(0.7) else { return }
    world.timeline.after(delay()) { [unowned self] in
      tell(1 - side, RuntimeError(.workerLost, "The connection was reset."))
    }
  }

  private func tell(_ side: Int, _ reason: RuntimeError) {
    guard let end = ends[side], !isTold[side] else { return }
    end.run { [unowned self] in
      guard !isTold[side] else { return }
      isTold[side] = true
      end.linkClosed(reason)
    }
  }
}
