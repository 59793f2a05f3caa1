import ByzRuntime

/// A client and its workers, and mail between all of them: over the client's connections, and those that it helps its workers to.
final class MailShell {
  let world: World
  let ledger: MailLedger
  /// The client's, and one for each worker.
  let hosts: [Host]
  /// From the client to each worker, and between workers.
  let routes: [Route]
  /// Whom each host expects.
  var servers: [ExpectedSiblings<MailNode>]
  /// How long a worker waits for the client's answer.
  let introductionLimit: Duration
  /// How often a direct connection breaks while a letter is on its way.
  private let breakage: Double
  private lazy var client = MailNode(newNumber(), on: hosts[0], of: self)
  private var nodes: [MailNode] = []
  private var streams: [MailStream] = []
  /// The newest boxes of each host.
  private var addresses: [[MailboxAddress]]
  /// The first part of each host's address: only equal ones fit.
  private let schemes: [String]
  /// The ways that hosts let others come, by who connects and to whom.
  private var siblingRoutes: [[Int: Route]]
  private var sessionCounts: [Int]
  private var isClosed = false

  init(in world: World) {
    self.world = world
    ledger = MailLedger(in: world)
    let count = world.pick(2...4)
    let hosts = (0...count).map { Host($0, in: world) }
    self.hosts = hosts
    servers = hosts.map { _ in ExpectedSiblings() }
    addresses = hosts.map { _ in [] }
    sessionCounts = hosts.map { _ in 0 }
    schemes = hosts.map { _ in world.chance(0.85) ? "tcp" : "ucx" }
    siblingRoutes = hosts.map { host in
      var found: [Int: Route] = [:]
      for other in hosts where host.number > 0 && other.number > 0 && other !== host {
        if world.chance(0.6) { found[other.number] = Route(from: host, to: other) }
      }
      return found
    }
    routes =
      hosts.dropFirst().map { Route(from: hosts[0], to: $0) }
      + siblingRoutes.flatMap { routes in routes.sorted { $0.key < $1.key }.map(\.value) }
    breakage = world.faults.isCalm ? 0 : [0.05, 0.2, 0.5][world.pick(0...2)]
    introductionLimit =
      .milliseconds(world.faults.isCalm || world.chance(0.5) ? 10_000 : world.pick(100...1_000))
  }

  func begin() {
    nodes.append(client)
    start(client)
    for number in 1..<hosts.count { connect(number) }
  }

  /// Whether all letters have been sent, and those that arrived been taken.
  var isDone: Bool {
    world.timeline.now > 100_000 && streams.allSatisfy(\.isDone)
      && nodes.allSatisfy { !$0.isThere || $0.boxes.values.allSatisfy(\.isEmpty) }
  }

  func close() {
    ledger.finish { address in nodes.contains { $0.name == address.host && $0.isThere } }
    isClosed = true
    for node in nodes where node.isThere { node.closeBoxes() }
    client.close()
  }

  /// When all connections have ended, nothing may wait.
  func finish() {
    for node in nodes where node.isThere && node.waitingCount > 0 {
      world.violate("\(node.waitingCount) waits are left in a process that has no connection.")
    }
  }

  func newNumber() -> UInt64 { UInt64(world.pick(1...Int(UInt32.max))) }

  /// A letter between two workers goes through the client.
  func passes(from sender: UInt64, to receiver: UInt64) {
    world.counts.passedOn += 1
    guard world.faults.isCalm,
      let one = nodes.first(where: { $0.name == sender })?.host.number,
      let other = nodes.first(where: { $0.name == receiver })?.host.number,
      schemes[one] == schemes[other],
      siblingRoutes[one][other] != nil || siblingRoutes[other][one] != nil
    else { return }
    world.violate("Hosts \(one) and \(other) can reach each other, and the client passes mail on.")
  }

  /// Where a letter may go: mostly to another worker, now and then to a box that is gone, or never was.
  func randomAddress(for node: MailNode) -> MailboxAddress {
    let others = hosts.indices.filter { $0 > 0 && $0 != node.host.number && !addresses[$0].isEmpty }
    let isToWorker = !others.isEmpty && world.chance(0.8)
    let number =
      isToWorker ? others[world.pick(0...others.count - 1)] : world.pick(0...hosts.count - 1)
    let boxes = addresses[number].isEmpty ? addresses[0] : addresses[number]
    if world.chance(0.02) { return MailboxAddress(host: boxes[0].host, name: MailLedger.nobody) }
    return boxes[world.pick(0...boxes.count - 1)]
  }

  // MARK: - Connections

  private func connect(_ number: Int, attempt: Int = 0) {
    guard !isClosed, sessionCounts[number] < 3, world.timeline.now < world.faults.end else {
      return
    }
    let name = newNumber()
    routes[number - 1].connect(in: world, names: (client.name, name)) { [unowned self] end in
      accept(end, named: name, on: hosts[number])
    } done: { [unowned self] result in
      guard case .success(let end) = result else { return again(number, attempt) }
      sessionCounts[number] += 1
      _ = MailServer(client, end)
      end.whenEnded = { [unowned self] _ in again(number, 0) }
      guard
        (try? client.adopt(end, as: end.peerName ?? name, at: "\(schemes[number]):\(number)"))
          != nil
      else { return }
      end.call(body: Service.spawn(type: "mail", arguments: .null, key: nil).value.serialized()) {
        _ in
      }
    }
  }

  private func again(_ number: Int, _ attempt: Int) {
    world.timeline.after(10_000 << min(attempt, 5)) { [unowned self] in
      connect(number, attempt: attempt + 1)
    }
  }

  /// Every connection has a session of its own at the worker's host.
  private func accept(_ end: Endpoint, named name: UInt64, on host: Host) {
    let node = MailNode(name, on: host, upstream: end, of: self)
    nodes.append(node)
    _ = MailServer(node, end)
    end.whenOpen = { [unowned node, unowned end] in
      try? node.adopt(end, as: end.peerName ?? 0)
    }
    end.whenEnded = { [unowned self, unowned node] _ in
      node.end()
      for stream in streams where stream.node === node { stream.cancel() }
    }
  }

  /// Connects a worker to another's host at an address that the client has given.
  func dial(
    _ address: String, from node: MailNode, to other: UInt64,
    done: @escaping (Result<Endpoint, RuntimeError>) -> Void
  ) {
    guard let number = address.split(separator: ":").last.flatMap({ Int($0) }),
      let route = siblingRoutes[node.host.number][number]
    else {
      return node.after(world.pick(500...50_000)) {
        done(.failure(RuntimeError(.authenticationFailed, "It does not let this one in.")))
      }
    }
    let name = newNumber()
    route.connect(in: world, names: (node.name, name)) { [unowned self] end in
      accept(end, named: name, on: hosts[number])
    } done: { [unowned node] result in
      if case .success(let end) = result { node.opened(end, to: other) }
      done(result)
    }
  }

  /// Now and then a connection breaks for its sender while a letter is on its way.
  func mayBreak(_ end: Endpoint) {
    guard end.host !== hosts[0], world.chance(breakage) else { return }
    let (cable, side) = (end.cable, end.side)
    world.timeline.after(world.pick(0...world.faults.delay)) { [unowned cable] in
      cable.reset(telling: side)
    }
  }

  // MARK: - Work

  /// Opens a process's boxes, and has it send and receive.
  func start(_ node: MailNode) {
    guard !node.hasEnded else { return }
    world.note("start", node.host.number)
    let boxes = (0...world.pick(0...1)).map { node.open("box \($0)", capacity: world.pick(1...3)) }
    addresses[node.host.number] = boxes.map(\.address)
    for box in boxes { for _ in 0..<world.pick(1...2) { receive(from: box, at: node) } }
    for _ in 0..<world.pick(1...2) {
      let stream = MailStream(streams.count, of: node, count: world.pick(3...12), in: self)
      streams.append(stream)
      node.after(world.pick(0...50_000)) { stream.next() }
    }
  }

  /// Takes one letter after another, slowly, and now and then gives up waiting for a while.
  private func receive(from box: MailBox, at node: MailNode) {
    let ledger = ledger
    var isWaiting = true
    let waiter = box.take { [unowned self, unowned node] letter in
      isWaiting = false
      guard let letter else { return }
      ledger.taken(letter)
      node.after(world.pick(100...30_000)) { [unowned self] in receive(from: box, at: node) }
    }
    guard isWaiting, world.chance(0.3) else { return }
    node.after(world.pick(0...60_000)) { [unowned self] in
      guard isWaiting, box.cancelTake(waiter) else { return }
      node.after(world.pick(0...20_000)) { [unowned self] in receive(from: box, at: node) }
    }
  }
}
