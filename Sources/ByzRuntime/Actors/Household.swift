/// What was made for one client: its actors, and the system they live in. It goes with the client's connection, or, where that broke,
/// to the connection by which the client comes again.
struct Household: Sendable {
  let system: ByzActorSystem
  var actors: Set<UInt64> = []
  /// The client's, should it come again.
  var claim: Claim?

  init(system: ByzActorSystem) { self.system = system }

  /// Lets go of the actors.
  func release() { for number in actors { system.release(number) } }

  /// Lets go of everything.
  func end() async {
    release()
    await system.stop()
    system.lobby?.leave(system)
    // Or the connection and the system would keep each other.
    system.state.withLock { $0.router.upstream = nil }
  }
}

/// A client's claim to what was made for it, should its connection break.
final class Claim: Sendable {
  /// What the client shows when it comes again, and nobody else knows.
  let key: UInt64
  /// Which of its attempts to come again the connection came of; 0 for its first connection.
  let attempt: UInt64
  /// The connection until then.
  let peer: Peer
  /// Settled with what waits for the client, when the connection has ended.
  let household = Promise<Household>()
  /// Settled when nothing is to wait any longer, whether or not the client has come.
  let wait = Promise<Void>()

  init(of peer: Peer, key: UInt64, attempt: UInt64 = 0) {
    (self.peer, self.key, self.attempt) = (peer, key, attempt)
  }
}

/// The clients that may come again, with their connections or after them.
struct ExpectedClients: Sendable {
  /// The most households that wait at a time; for one more, the one that has waited longest goes.
  static let mostAbsent = 256

  private var clients: [UInt64: Claim] = [:]
  /// The keys of those that are absent, in the order in which they left.
  private var absent: [UInt64] = []

  var absentCount: Int { absent.count }

  /// - Returns: false when another one has the key.
  mutating func expect(_ claim: Claim) -> Bool {
    guard clients[claim.key] == nil else { return false }
    clients[claim.key] = claim
    return true
  }

  /// A client's connection has ended.
  ///
  /// - Returns: whose household goes for it.
  mutating func leave(_ claim: Claim) -> Claim? {
    guard clients[claim.key] === claim else { return nil }
    absent.append(claim.key)
    return absent.count > Self.mostAbsent ? clients[absent.removeFirst()] : nil
  }

  /// The client of a key has come again, and has this claim from now on.
  ///
  /// - Returns: its last one; nil when the client is not expected, or has come by a later attempt.
  mutating func admit(_ claim: Claim) -> Claim? {
    guard let last = clients[claim.key], claim.attempt > last.attempt else { return nil }
    absent.removeAll { $0 == claim.key }
    clients[claim.key] = claim
    return last
  }

  /// Expects a client no more.
  ///
  /// - Returns: whether it was expected still, and has not come.
  mutating func forget(_ claim: Claim) -> Bool {
    guard clients[claim.key] === claim else { return false }
    absent.removeAll { $0 == claim.key }
    clients[claim.key] = nil
    return true
  }
}

extension Lobby {
  /// The clients whose connections broke and for whom something is kept.
  package var absentClientCount: Int { clients.withLock { $0.absentCount } }

  /// The client at the other end may come again by another connection.
  ///
  /// - Throws: ``RuntimeError/Code/malformedMessage`` when another client has the key.
  func expectReturn(of peer: Peer, under key: UInt64) throws(RuntimeError) -> Claim {
    let claim = Claim(of: peer, key: key)
    guard clients.withLock({ $0.expect(claim) }) else {
      throw RuntimeError(.malformedMessage, "The key is not new.")
    }
    return claim
  }

  /// What waits for the client of this key, and with it the claim of its new connection. The last connection is ended first if need
  /// be.
  ///
  /// - Parameter attempt: tells the client's attempts apart: what arrives late ends no connection that came after it.
  /// - Throws: ``RuntimeError/Code/unknownTarget`` when nothing waits, or a later attempt has come.
  func admit(
    _ peer: Peer, returning key: UInt64, attempt: UInt64
  ) async throws -> Household {
    let claim = Claim(of: peer, key: key, attempt: attempt)
    guard let last = clients.withLock({ $0.admit(claim) }) else {
      throw RuntimeError(
        .unknownTarget,
        "Nothing is kept here for this client any more, or it has come by a later attempt.")
    }
    last.wait.settle(.success(()))
    last.peer.link.close(RuntimeError(.workerLost, "The client has connected again."))
    var household = try await last.household.result.get()
    household.claim = claim
    return household
  }

  /// The connection has ended: keeps what was made for it until the client comes again, the time is over, the calling task is cancelled
  /// or too many others wait.
  ///
  /// - Returns: whether the client has come, and what was made is its new connection's.
  func keep(_ household: Household, under claim: Claim, for limit: Duration) async -> Bool {
    var household = household
    // Or the two would keep each other.
    household.claim = nil
    claim.household.settle(.success(household))
    if limit > .zero {
      clients.withLock { $0.leave(claim) }?.wait.settle(.success(()))
      let end = Deadline(after: limit) { claim.wait.settle(.success(())) }
      end.set()
      await withTaskCancellationHandler {
        _ = await claim.wait.result
      } onCancel: {
        claim.wait.settle(.success(()))
      }
      end.clear()
    }
    return !clients.withLock { $0.forget(claim) }
  }
}
