import ByzRuntime

/// A process with mailboxes, and connections to others: the production ``RouterState`` in virtual time, carried out as
/// ``ByzActorSystem`` carries it out.
final class MailNode {
  let host: Host
  /// What others call it. A worker has a name for each connection of its client.
  let name: UInt64
  private let life: Int
  unowned let shell: MailShell
  unowned let world: World
  private(set) var router: RouterState<Endpoint>
  /// The client's end of the connection is elsewhere: this is a worker.
  let isWorker: Bool
  private(set) var boxes: [String: MailBox] = [:]
  /// Who waits for the client's answer about another worker.
  private var questions: [UInt64: [() -> Void]] = [:]
  /// Who waits for an introduction that is under way.
  private var outcomes: [UInt64: [(Bool) -> Void]] = [:]
  private(set) var hasEnded = false

  /// - Parameter upstream: the connection to its client, if this is a worker.
  init(_ name: UInt64, on host: Host, upstream: Endpoint? = nil, of shell: MailShell) {
    self.name = name
    self.host = host
    self.shell = shell
    world = shell.world
    life = host.life
    isWorker = upstream != nil
    router = RouterState(host: name)
    router.upstream = upstream
  }

  var isThere: Bool { !hasEnded && host.isUp && host.life == life }
  /// Whatever waits for something that will not come any more.
  var waitingCount: Int {
    questions.count + outcomes.count + boxes.values.reduce(0) { $0 + $1.waitingCount }
  }

  /// Does something later, unless it has crashed.
  func after(_ delay: Int, _ action: @escaping () -> Void) {
    world.timeline.after(delay) { [unowned self] in host.run(in: life, action) }
  }

  func open(_ name: String, capacity: Int) -> MailBox {
    let box = MailBox(
      MailboxAddress(host: self.name, name: name), capacity: capacity, shell.ledger, in: world)
    boxes[name] = box
    return box
  }

  /// Its client is gone: so is all that was made for it.
  func end() {
    guard !hasEnded else { return }
    closeBoxes()
    hasEnded = true
    shell.servers[host.number].leave(self)
    for end in router.stop() {
      end.drain()
      after(5_000_000) { end.cable.close(by: end.side, RuntimeError(.stopped, "Too late.")) }
    }
  }

  /// Ends its connections when what is under way has ended.
  func close() { for end in router.stop() { end.drain() } }

  func closeBoxes() { for name in boxes.keys.sorted() { boxes[name]?.close() } }

  // MARK: - Mail

  /// Delivers here, or sends on to where the mailbox is.
  func forward(
    _ letter: WireValue, from sender: UInt64, to address: MailboxAddress, _ delivery: Delivery
  ) {
    guard address.host != name else { return deliver(letter, from: sender, to: address, delivery) }
    way(to: address.host) { [unowned self] end in
      guard let end else {
        return delivery.end(.failure(RuntimeError(.unknownTarget, "No way leads there.")))
      }
      guard !delivery.isCancelled else { return delivery.end(.failure(CancellationError())) }
      let request = Service.put(
        host: address.host, mailbox: address.name, sender: sender, message: letter)
      let call = end.call(body: request.value.serialized()) { answer in
        delivery.end(
          Result { try answer.value }.mapError { ByzActorSystem.undelivered($0, to: address) })
      }
      delivery.whenCancelled = { [unowned end] in end.cancel(call) }
      if end !== router.upstream { shell.mayBreak(end) }
    }
  }

  private func deliver(
    _ letter: WireValue, from sender: UInt64, to address: MailboxAddress, _ delivery: Delivery
  ) {
    guard let box = boxes[address.name], !hasEnded else {
      return delivery.end(.failure(ByzActorSystem.noMailbox(address.name)))
    }
    guard case .unsigned(let number) = letter else { return world.violate("A letter changed.") }
    let waiter = box.put(Int(number), from: sender) { isIn in
      delivery.end(
        isIn ? .success(.null) : .failure(RuntimeError(.unknownTarget, "The mailbox is closed.")))
    }
    delivery.whenCancelled = { [unowned box] in
      if box.cancelPut(waiter) { delivery.end(.failure(CancellationError())) }
    }
  }

  /// Delivers what another worker of the same client has sent to this process.
  func accept(
    _ letter: WireValue, from sender: UInt64, to address: MailboxAddress, _ delivery: Delivery
  ) {
    guard address.host == name else {
      return delivery.end(.failure(ByzActorSystem.noMailbox(address.name)))
    }
    forward(letter, from: sender, to: address, delivery)
  }

  // MARK: - The worker

  /// The connection that mail to a process takes, made if need be; nil when there is none.
  private func way(to other: UInt64, _ then: @escaping (Endpoint?) -> Void) {
    let way = router.way(to: other)
    if case .take(let end) = way { return then(end) }
    questions[other, default: []].append { [unowned self] in then(router.wayNow(to: other)) }
    guard case .ask(let client, let lost) = way else { return }
    let request = Service.meet(host: other, lost: lost)
    client.call(body: request.value.serialized(), timeLeft: shell.introductionLimit) {
      [unowned self] answer in
      let areConnected = (try? answer.value) == .bool(true)
      world.note(areConnected ? "met" : "not met", Int(name), Int(other), Int(lost))
      router.answered(areConnected, about: other, over: client)
      for (index, waiter) in (questions.removeValue(forKey: other) ?? []).enumerated() {
        if world.plant == .failureUntold, !areConnected, index > 0 { continue }
        after(world.pick(0...100), waiter)
      }
    }
  }

  /// What is left of the connections to another worker must deliver nothing after what comes another way.
  func endConnections(with other: UInt64) {
    for old in router.connections(with: other) {
      if world.plant != .oldConnectionKept {
        old.cable.close(by: old.side, RuntimeError(.workerLost, "Another way takes its place."))
      }
      router.ended(old, as: other)
    }
  }

  /// Does what the client says to be connected to another of its workers.
  func meet(_ other: UInt64, ticket: UInt64, _ meeting: Meeting, _ task: Delivery) {
    endConnections(with: other)
    guard case .dial(let address) = meeting else {
      do {
        try shell.servers[host.number].expect(ticket, from: other, in: self)
        return task.end(.success(.null))
      } catch {
        return task.end(.failure(error))
      }
    }
    shell.dial(address, from: self, to: other) { [unowned self] result in
      switch result {
      case .failure(let error): task.end(.failure(error))
      case .success(let end):
        guard !task.isCancelled, !hasEnded else {
          abandon(end)
          return task.end(.failure(CancellationError()))
        }
        let request = Service.present(ticket: ticket)
        end.call(body: request.value.serialized()) { [unowned self, unowned end] answer in
          do {
            _ = try answer.value
            try adopt(end, as: other, by: ticket)
            task.end(.success(.null))
          } catch {
            abandon(end)
            task.end(.failure(error))
          }
        }
      }
    }
  }

  /// Takes note of a connection, so that mail finds it.
  func adopt(
    _ end: Endpoint, as other: UInt64, at address: String? = nil, by ticket: UInt64? = nil
  ) throws {
    guard router.adopt(end, as: other, at: address, by: ticket) else {
      abandon(end)
      throw RuntimeError(.stopped, "It has ended, or is connected to this process already.")
    }
    world.note("adopted", Int(name), Int(other))
    if end.hasEnded { router.ended(end, as: other) }
    let told = end.whenEnded
    end.whenEnded = { [unowned self, unowned end] reason in
      told(reason)
      router.ended(end, as: other)
    }
  }

  /// Takes note of a connection to another worker that is open, and delivers mail here from now on.
  func opened(_ end: Endpoint, to other: UInt64) {
    router.opening(end, to: other)
    end.whenEnded = { [unowned self, unowned end] _ in router.ended(end, as: other) }
    _ = MailServer(self, end, sibling: other)
  }

  private func abandon(_ end: Endpoint) {
    end.drain()
    end.cable.close(by: end.side, RuntimeError(.stopped, "It is not wanted."))
  }

  // MARK: - The client

  /// Brings together two workers; `done` is called once, with whether they are connected.
  func introduce(
    _ asker: UInt64, to other: UInt64, after lost: UInt64, until deadline: Duration,
    done: @escaping (Bool) -> Void
  ) {
    let number = shell.newNumber()
    let step = router.introduce(asker, to: other, after: lost, as: number) { _, _ in false }
    if case .join = step { outcomes[number] = [] }
    carryOut(step, asker, other, number, deadline) { [unowned self] areConnected in
      let waiting = outcomes.removeValue(forKey: number) ?? []
      done(areConnected)
      for waiter in waiting { waiter(areConnected) }
    }
  }

  private func carryOut(
    _ step: RouterState<Endpoint>.Step, _ asker: UInt64, _ other: UInt64, _ number: UInt64,
    _ deadline: Duration, _ done: @escaping (Bool) -> Void
  ) {
    switch step {
    case .done(let areConnected): done(areConnected)
    case .wait(let known):
      guard outcomes[known] != nil else { return done(false) }
      outcomes[known]?.append(done)
    case .join(let end, let host, let ticket, let meeting):
      let proceed = { [unowned self] (hasJoined: Bool) in
        let step = router.joined(hasJoined, asker, other, in: number, ticket: shell.newNumber())
        carryOut(step, asker, other, number, deadline, done)
      }
      guard world.now < deadline else { return proceed(false) }
      let request = Service.join(host: host, ticket: ticket, meeting)
      end.call(body: request.value.serialized(), timeLeft: deadline - world.now) { answer in
        proceed((try? answer.value) != nil)
      }
    case .pass: world.violate("There are no sockets to pass here.")
    }
  }
}

/// Something under way that can be cancelled, and ends once.
final class Delivery {
  private let done: (Result<WireValue, any Error>) -> Void
  private(set) var isCancelled = false
  private var hasEnded = false
  var whenCancelled: () -> Void = {}

  init(done: @escaping (Result<WireValue, any Error>) -> Void) { self.done = done }

  func cancel() {
    guard !hasEnded, !isCancelled else { return }
    isCancelled = true
    whenCancelled()
  }

  func end(_ result: Result<WireValue, any Error>) {
    guard !hasEnded else { return }
    hasEnded = true
    whenCancelled = {}
    done(result)
  }
}

extension Endpoint.Answer {
  /// What the call returned, or why it did not.
  var value: WireValue {
    get throws { try get().result(registry: simulatedRegistry, limits: WireLimits()) }
  }
}

/// What the simulated processes may name: nothing but the errors of the runtime.
let simulatedRegistry = Registry()
