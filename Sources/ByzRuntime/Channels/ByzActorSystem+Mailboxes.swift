internal import ByzTensor

extension ByzActorSystem {
  /// Opens a mailbox in this process.
  ///
  /// - Parameters:
  ///   - name: what others call it; unique in the process.
  ///   - type: what it takes.
  ///   - capacity: how many messages wait in it before senders wait; at least 1.
  /// - Throws: ``RuntimeError/Code/invalidConfiguration`` when the name is taken or the capacity below 1;
  ///   ``RuntimeError/Code/stopped`` when the system has ended.
  public func mailbox<Element: Codable & Sendable>(
    named name: String, of type: Element.Type = Element.self, capacity: Int = 64
  ) throws -> Mailbox<Element> {
    guard capacity >= 1 else {
      throw RuntimeError(
        .invalidConfiguration, "Mailbox \(name) has capacity \(capacity), at least 1 is needed.")
    }
    let mailbox = Mailbox<Element>(
      address: MailboxAddress(host: host, name: name), capacity: capacity, system: self)
    let slot = MailboxSlot(
      deliver: { [weak mailbox, self] value, segments, sender in
        // Not the mailbox: who waits for room must not be what keeps it.
        guard let queue = mailbox?.queue else { throw Self.noMailbox(name) }
        let value = try decoder(segments).decode(Element.self, from: value)
        guard try await queue.put(Letter(sender: sender, value: value)) else {
          throw RuntimeError(.unknownTarget, "Mailbox \(name.prefix(256)) is closed.")
        }
      },
      close: { [weak mailbox] in mailbox?.close() })
    do {
      try state.withLock { state in
        guard !state.router.isStopped else {
          throw RuntimeError(.stopped, "The actor system has ended.")
        }
        guard state.mailboxes[name] == nil else {
          throw RuntimeError(.invalidConfiguration, "There is a mailbox named \(name) already.")
        }
        state.mailboxes[name] = slot
      }
    } catch {
      mailbox.forget()
      throw error
    }
    return mailbox
  }

  /// Puts a message into a mailbox, wherever it is, and returns when it is in: a full mailbox makes the caller wait.
  ///
  /// The way is a connection to the mailbox's process, or one to the process that started both. Workers that can reach each other are
  /// connected on the first message between them: child processes of one parent, and workers of hosts that know each other's
  /// token or certificates. Later messages take the same way.
  ///
  /// - Throws: ``RuntimeError/Code/deliveryUnknown`` when the connection ended before the message was acknowledged: it may be in,
  ///   once, or not, and so when ``RuntimeError/Code/deadlineExceeded`` is thrown; ``RuntimeError/Code/unknownTarget`` when there is
  ///   no such mailbox, or no way to it; `CancellationError`, and it is not in.
  public func send<Element: Codable & Sendable>(
    _ value: Element, to address: MailboxAddress
  ) async throws {
    var encoder = WireEncoder()
    let message = try encoder.encode(value)
    try await forward(message, segments: encoder.segments, sender: host, to: address)
  }

  /// Puts a message into several mailboxes at once.
  ///
  /// - Returns: for each address why the message is not known to be in, in the order of the addresses; nil where it is.
  public func broadcast<Element: Codable & Sendable>(
    _ value: Element, to addresses: [MailboxAddress]
  ) async -> [(any Error)?] {
    await withTaskGroup(of: (Int, (any Error)?).self) { group in
      for (index, address) in addresses.enumerated() {
        group.addTask {
          do {
            try await self.send(value, to: address)
            return (index, nil)
          } catch {
            return (index, error)
          }
        }
      }
      var outcomes = [(any Error)?](repeating: nil, count: addresses.count)
      for await (index, error) in group { outcomes[index] = error }
      return outcomes
    }
  }

  /// Delivers here, or sends on to where the mailbox is.
  func forward(
    _ message: WireValue, segments: [Segment], sender: UInt64, to address: MailboxAddress
  ) async throws {
    if address.host == host {
      guard let slot = state.withLock({ $0.mailboxes[address.name] }) else {
        throw Self.noMailbox(address.name)
      }
      return try await slot.deliver(message, segments, sender)
    }
    // One that has ended, or whose other side takes no more calls, is no way either: what has not been sent did not arrive.
    guard let peer = try await way(to: address.host),
      peer.isOpen || state.withLock({ $0.router.isStopped })
    else {
      throw RuntimeError(.unknownTarget, "No connection leads to mailbox \(address).")
    }
    let request = Service.put(
      host: address.host, mailbox: address.name, sender: sender, message: message)
    do {
      _ = try await call(peer, request, segments: segments)
    } catch {
      throw Self.undelivered(error, to: address)
    }
  }

  /// Delivers a worker's message here, or passes it on to another worker that it cannot reach.
  func pass(
    _ message: WireValue, _ segments: [Segment], from sender: UInt64, to address: MailboxAddress
  ) async throws {
    if address.host != host { state.withLock { $0.mailPassedOn += 1 } }
    try await forward(message, segments: segments, sender: sender, to: address)
  }

  /// Delivers what another worker of the same client has sent to this process.
  func accept(
    _ message: WireValue, _ segments: [Segment], from sender: UInt64, to address: MailboxAddress
  ) async throws {
    guard address.host == host else { throw Self.noMailbox(address.name) }
    try await forward(message, segments: segments, sender: sender, to: address)
  }

  /// How many messages between other processes have gone through this one.
  package var mailPassedOn: Int { state.withLock { $0.mailPassedOn } }

  /// What a sender is told when the call that carried the message has failed.
  package static func undelivered(_ error: any Error, to address: MailboxAddress) -> any Error {
    guard let error = error as? RuntimeError, error.code == .workerLost else { return error }
    return RuntimeError(
      .deliveryUnknown, "The message to \(address) was not acknowledged.", cause: error)
  }

  package static func noMailbox(_ name: String) -> RuntimeError {
    RuntimeError(.unknownTarget, "There is no mailbox named \(name.prefix(256)).")
  }
}

/// A mailbox of any type, as the system knows it.
struct MailboxSlot: Sendable {
  /// Puts a message in.
  let deliver: @Sendable (WireValue, [Segment], UInt64) async throws -> Void
  let close: @Sendable () -> Void
}
