import ByzKit
import ByzRuntime
import ByzTensor

/// Nodes that train without a server: the production ``GossipState`` on each host, over connections between neighbors.
final class GossipShell {
  private unowned let world: World
  let routes: [Route]
  let hosts: [Host]
  private var nodes: [Node] = []
  private let mode: GossipMode
  private let isInStep: Bool
  private let rounds: Int
  private let deadline: Int
  /// What was sent: by sender and round, and by receiver, since a Byzantine node has a lie for each.
  private var sent: [GossipKey: [Float]] = [:]
  private var isClosed = false

  private struct GossipKey: Hashable {
    var sender: Int
    var round: Int
    var receiver: Int
  }

  private final class Node {
    var state: GossipState
    let neighbors: [Int]
    var model: [Float]
    var local: [Float] = []
    var records: [GossipRecord] = []
    /// Whom it must still send what, the oldest first.
    var outbox: [Int: [GossipMessage]] = [:]
    var ends: [Int: Endpoint] = [:]
    var accepted: Set<GossipKey> = []
    var isDone = false
    /// What it began with, for the replay.
    let start: [Float]

    init(_ number: Int, _ neighbors: [Int], _ mode: GossipMode) {
      self.neighbors = neighbors
      state = GossipState(node: number, neighbors: neighbors, shape: [2], mode: mode)
      model = [Float(number), -1]
      start = model
    }
  }

  init(in world: World) {
    self.world = world
    let count = world.pick(3...5)
    let isComplete = world.chance(0.5)
    hosts = (0..<count).map { Host($0, in: world) }
    var routes: [Route] = []
    for i in 0..<count {
      for j in i + 1..<count where isComplete || j == i + 1 || (i == 0 && j == count - 1) {
        routes.append(Route(from: hosts[i], to: hosts[j]))
      }
    }
    self.routes = routes
    let neighbors = (0..<count).map { node in
      routes.compactMap { route -> Int? in
        if route.client.number == node { return route.server.number }
        return route.server.number == node ? route.client.number : nil
      }
    }
    let least = neighbors.map(\.count).min() ?? 0
    isInStep = world.chance(0.6)
    mode =
      isInStep
      ? (world.chance(0.5) ? .synchronous : .synchronous(quorum: world.pick(0...least)))
      : .asynchronous(quorum: world.pick(0...least), staleness: world.pick(0...3))
    rounds = world.pick(2...5)
    deadline = world.pick(50_000...800_000)
    nodes = (0..<count).map { Node($0, neighbors[$0], mode) }
  }

  func begin() {
    for route in routes { connect(route) }
    for number in nodes.indices {
      let life = hosts[number].life
      hosts[number].whenCrashed { [unowned self] in left(number) }
      world.timeline.after(world.pick(0...10_000)) { [unowned self] in
        hosts[number].run(in: life) { [unowned self] in beginRound(number) }
      }
    }
  }

  /// Whether every node whose host lives has done its rounds.
  var isDone: Bool { nodes.indices.allSatisfy { nodes[$0].isDone || !hosts[$0].isUp } }

  func close() {
    isClosed = true
    for node in nodes { for neighbor in node.neighbors { node.ends[neighbor]?.drain() } }
  }

  // MARK: - Rounds

  private func beginRound(_ number: Int) {
    let node = nodes[number]
    let round = node.state.round
    guard round < rounds else {
      node.isDone = true
      return world.note("node done", number)
    }
    world.counts.rounds += 1
    world.note("gossip round", number, round)
    node.local = Self.localStep(node.model, number, round)
    for neighbor in node.neighbors {
      var vector = node.local
      // Node 0 tells everyone something else.
      if number == 0 { vector[0] += Float(neighbor) }
      sent[GossipKey(sender: number, round: round, receiver: neighbor)] = vector
      let message = GossipMessage(round: round, vector: Tensor(vector))
      node.outbox[neighbor, default: []].append(message)
      send(message, from: number, to: neighbor)
    }
    let life = hosts[number].life
    world.timeline.after(deadline) { [unowned self] in
      hosts[number].run(in: life) { [unowned self] in
        guard nodes[number].state.round == round else { return }
        take(.deadline, number)
      }
    }
    take(.began, number)
  }

  private static func localStep(_ model: [Float], _ node: Int, _ round: Int) -> [Float] {
    [model[0] * 0.75 + Float(node), model[1] * 0.5 + Float(round)]
  }

  private static func mean(_ vectors: [[Float]]) -> [Float] {
    let sums = vectors.reduce([0, 0] as [Float]) { [$0[0] + $1[0], $0[1] + $1[1]] }
    return sums.map { $0 / Float(vectors.count) }
  }

  private func take(_ event: GossipState.Event, _ number: Int) {
    let node = nodes[number]
    for directive in node.state.handle(event) {
      guard case .proceed(let record, let vectors) = directive else { continue }
      world.note("proceed", number, record.round, record.used.count)
      check(record, vectors, number)
      node.records.append(record)
      node.model =
        record.hasQuorum ? Self.mean([node.local] + vectors.map(Self.elements)) : node.local
      let life = hosts[number].life
      world.timeline.after(world.pick(100...5_000)) { [unowned self] in
        hosts[number].run(in: life) { [unowned self] in beginRound(number) }
      }
    }
  }

  private static func elements(_ vector: Tensor<Float>) -> [Float] {
    vector.withUnsafeBufferPointer { Array($0) }
  }

  private func check(_ record: GossipRecord, _ vectors: [Tensor<Float>], _ number: Int) {
    if record.used.count != vectors.count, record.hasQuorum {
      world.violate(
        "Node \(number) used \(vectors.count) vectors and recorded \(record.used.count).")
    }
    for (used, vector) in zip(record.used, vectors) {
      let key = GossipKey(sender: used.sender, round: used.round, receiver: number)
      if sent[key] != Self.elements(vector) {
        world.violate(
          "Node \(number) used what \(used.sender) did not send in round \(used.round).")
      }
      if isInStep, used.round != record.round {
        world.violate("Node \(number) used a vector of another round in step.")
      }
    }
  }

  // MARK: - Messages

  private func send(_ message: GossipMessage, from number: Int, to neighbor: Int) {
    let node = nodes[number]
    guard let end = node.ends[neighbor], !end.hasEnded else { return }
    var encoder = WireEncoder()
    guard let value = try? encoder.encode(message) else {
      return world.violate("A message of gossip cannot be encoded.")
    }
    world.counts.gossip += 1
    end.call(body: value.serialized(), segments: encoder.segments) { answer in
      // Else it is sent again on the next connection.
      guard case .success = answer else { return }
      node.outbox[neighbor]?.removeAll { $0.round == message.round }
    }
  }

  private func receive(_ call: Message, at number: Int, from sender: Int, _ end: Endpoint) {
    guard let value = try? WireValue(parsing: call.body, limits: WireLimits()),
      var message = try? WireDecoder(segments: call.segments).decode(
        GossipMessage.self, from: value)
    else { return world.violate("A message of gossip arrived changed.") }
    let key = GossipKey(sender: sender, round: message.round, receiver: number)
    let isFirst = nodes[number].accepted.insert(key).inserted
    world.note("gossip", number, sender, message.round)
    if world.plant == .gossipTwice, !isFirst {
      message = GossipMessage(round: nodes[number].state.round, vector: message.vector)
    }
    take(.received(message, from: sender), number)
    end.answer(Message(.reply, call: call.call))
  }

  // MARK: - Connections

  private func connect(_ route: Route, attempt: Int = 0) {
    guard !isClosed, route.client.isUp, route.server.isUp else { return }
    let (a, b) = (route.client.number, route.server.number)
    route.connect(in: world) { [unowned self] end in
      adopt(end, at: b, from: a)
    } done: { [unowned self] result in
      switch result {
      case .success(let end):
        adopt(end, at: a, from: b)
        opened(end, a, b)
        end.whenEnded = { [unowned self] _ in again(route, 0) }
      case .failure: again(route, attempt)
      }
    }
  }

  private func again(_ route: Route, _ attempt: Int) {
    world.timeline.after(10_000 << min(attempt, 5)) { [unowned self] in
      connect(route, attempt: attempt + 1)
    }
  }

  private func adopt(_ end: Endpoint, at number: Int, from sender: Int) {
    end.serve = { [unowned self, unowned end] in receive($0, at: number, from: sender, end) }
    if !end.hasOpened {
      end.whenOpen = { [unowned self, unowned end] in opened(end, number, sender) }
    }
  }

  private func opened(_ end: Endpoint, _ number: Int, _ neighbor: Int) {
    nodes[number].ends[neighbor] = end
    for message in nodes[number].outbox[neighbor] ?? [] {
      send(message, from: number, to: neighbor)
    }
  }

  private func left(_ number: Int) {
    // By their own detectors, some time later.
    world.timeline.after(500_000) { [unowned self] in
      for neighbor in nodes[number].neighbors {
        hosts[neighbor].run(in: hosts[neighbor].life) { [unowned self] in
          take(.left(number), neighbor)
        }
      }
    }
  }

  // MARK: - Replay

  /// Repeats the run from the records alone, whatever the times were.
  func replay() {
    var models = nodes.map(\.start)
    var done = nodes.map { _ in 0 }
    var vectors: [GossipKey: [Float]] = [:]
    var locals = nodes.map { _ in [Float]() }
    func begin(_ number: Int) {
      locals[number] = Self.localStep(models[number], number, done[number])
      for neighbor in nodes[number].neighbors {
        var vector = locals[number]
        if number == 0 { vector[0] += Float(neighbor) }
        vectors[GossipKey(sender: number, round: done[number], receiver: neighbor)] = vector
      }
    }
    for number in nodes.indices { begin(number) }
    var hasMoved = true
    while hasMoved {
      hasMoved = false
      for (number, node) in nodes.enumerated() where done[number] < node.records.count {
        let record = node.records[done[number]]
        let used = record.used.map {
          vectors[GossipKey(sender: $0.sender, round: $0.round, receiver: number)]
        }
        guard !used.contains(nil) else { continue }
        let all = [locals[number]] + used.compactMap(\.self)
        models[number] = record.hasQuorum ? Self.mean(all) : locals[number]
        done[number] += 1
        hasMoved = true
        begin(number)
      }
    }
    for (number, node) in nodes.enumerated() {
      if done[number] != node.records.count || models[number] != node.model {
        world.violate("Replaying the records leads node \(number) to another model.")
      }
    }
  }
}
