import ByzRuntime

/// Carries out what the other side of one connection asks a ``MailNode`` for, as ``WorkerHost`` does.
final class MailServer {
  private unowned let node: MailNode
  private unowned let end: Endpoint
  private unowned let world: World
  /// Who is at the other end, if it is another worker of the same client, and whom it has mail for.
  private var sibling: (session: MailNode, host: UInt64)?
  private var running: [UInt64: Delivery] = [:]

  init(_ node: MailNode, _ end: Endpoint, sibling: UInt64? = nil) {
    self.node = node
    self.end = end
    world = node.world
    self.sibling = sibling.map { (node, $0) }
    // The endpoint keeps the server.
    end.serve = { self.serve($0) }
    end.cancelServing = { self.running[$0]?.cancel() }
  }

  private func serve(_ call: Message) {
    let task = Delivery { [unowned self] in answer(call.call, $0) }
    running[call.call] = task
    // As a task begins, some time later, and much later where there is no processor for it.
    world.timeline.after(world.pick(0...(world.chance(0.1) ? 30_000 : 50))) { [end] in
      end.run { [unowned self] in begin(call, task) }
    }
  }

  private func answer(_ number: UInt64, _ result: Result<WireValue, any Error>) {
    running[number] = nil
    switch result {
    case .success(let value):
      end.answer(Message(.reply, call: number, body: value.serialized()))
    case .failure(let error):
      var answer = Message.failure(error, registry: simulatedRegistry)
      answer.call = number
      end.answer(answer)
    }
  }

  private func begin(_ call: Message, _ task: Delivery) {
    guard !task.isCancelled else { return task.end(.failure(CancellationError())) }
    do {
      let body = try WireValue(parsing: call.body, limits: WireLimits())
      try begin(try Service(body), call, task)
    } catch {
      task.end(.failure(error))
    }
  }

  private func begin(_ service: Service, _ call: Message, _ task: Delivery) throws {
    guard let other = end.peerName else { return world.violate("A call came before the hello.") }
    switch service {
    case .put(let host, let mailbox, let sender, let letter):
      let address = MailboxAddress(host: host, name: mailbox)
      if let sibling {
        return sibling.session.accept(letter, from: sibling.host, to: address, task)
      }
      if host != node.name { node.shell.passes(from: other, to: host) }
      if node.isWorker, sender != other { node.endConnections(with: sender) }
      // Whoever started this process speaks for others; everybody else for himself only.
      node.forward(letter, from: node.isWorker ? sender : other, to: address, task)
    case .meet(let host, let lost):
      let deadline = world.now + (call.timeLeft ?? .seconds(60))
      node.introduce(other, to: host, after: lost, until: deadline) {
        task.end(.success(.bool($0)))
      }
    case .join(let host, let ticket, let meeting):
      node.meet(host, ticket: ticket, meeting, task)
    case .present(let ticket):
      guard let found = node.shell.servers[node.host.number].admit(ticket) else {
        throw RuntimeError(.authenticationFailed, "Nobody here waits for this connection.")
      }
      sibling = found
      try found.session.adopt(end, as: found.host, by: ticket)
      task.end(.success(.null))
    case .spawn:
      node.shell.start(node)
      task.end(.success(.null))
    case .invoke, .subtask, .keep, .resume: world.violate("A call arrived changed.")
    }
  }
}
