/// What the workers of one server have in common, though each connection has an actor system of its own: the way to workers of other
/// servers, who of them waits for whom, and which clients may come again.
package final class Lobby: Sendable {
  private let dial: @Sendable (String) throws -> any LinkBackend
  private let expected = Monitor(ExpectedSiblings<ByzActorSystem>())
  let clients = Monitor(ExpectedClients())

  /// Whether anything is kept for clients whose connections break.
  let keepsClients: Bool

  /// - Parameters:
  ///   - keepsClients: whether anything is kept for clients whose connections break.
  ///   - dial: the way to the server at an address that a client has given.
  package init(
    keepsClients: Bool, dial: @escaping @Sendable (String) throws -> any LinkBackend
  ) {
    self.keepsClients = keepsClients
    self.dial = dial
  }

  func backend(at address: String) throws -> any LinkBackend { try dial(address) }

  /// Whoever shows the ticket is `host`, and has mail for `system`. One ticket for each of the two.
  ///
  /// - Throws: ``RuntimeError/Code/limitExceeded``.
  func expect(_ ticket: UInt64, from host: UInt64, in system: ByzActorSystem) throws {
    try expected.withLock { try $0.expect(ticket, from: host, in: system) }
  }

  /// Takes in who shows a ticket, once.
  ///
  /// - Throws: ``RuntimeError/Code/authenticationFailed`` when nobody waits for it.
  func admit(_ ticket: UInt64) throws(RuntimeError) -> Sibling {
    guard let (system, host) = expected.withLock({ $0.admit(ticket) }) else {
      throw RuntimeError(.authenticationFailed, "Nobody here waits for this connection.")
    }
    return Sibling(system: system, host: host)
  }

  /// The system has ended and waits for nobody.
  func leave(_ system: ByzActorSystem) {
    expected.withLock { $0.leave(system) }
  }
}

/// Another worker of the same client, as that client has named it: it may put mail into the mailboxes of `system`, in its own name.
struct Sibling: Sendable {
  let system: ByzActorSystem
  let host: UInt64
}
