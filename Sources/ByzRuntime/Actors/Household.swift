/// What was made for one client: its actors, and the system they live in. It goes with the client's connection, or, where that broke,
/// to the connection by which the client comes again.
struct Household: Sendable {
  let system: ByzActorSystem
  var actors: Set<UInt64> = []
  /// How many actors are being made.
  var reserved = 0
  /// How the client is known when it comes again; nil when it will not.
  var absence: Absence?
  /// Whether the connection has ended.
  var isOver = false

  init(system: ByzActorSystem) { self.system = system }

  var isEmpty: Bool { actors.isEmpty && reserved == 0 }

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

/// The time from the end of a client's connection until the client comes again, which may never begin, and never end.
final class Absence: Sendable {
  /// What the client shows when it comes again, and nobody else knows.
  let key: UInt64
  /// The connection until then.
  let peer: Peer
  /// Settled with what waits for the client, when the connection has ended.
  let household = Promise<Household>()
  /// Settled when nothing is to wait any longer, whether or not the client has come.
  let wait = Promise<Void>()

  init(of peer: Peer, key: UInt64) { (self.peer, self.key) = (peer, key) }
}

/// The clients that may come again, with their connections or after them.
struct ExpectedClients: Sendable {
  /// The most households that wait at a time; for one more, the one that has waited longest goes.
  static let mostAbsent = 64

  private var clients: [UInt64: Absence] = [:]
  /// The keys of those that are absent, in the order in which they left.
  private var absent: [UInt64] = []

  var absentCount: Int { absent.count }

  /// - Returns: false when another one has the key.
  mutating func expect(_ absence: Absence) -> Bool {
    guard clients[absence.key] == nil else { return false }
    clients[absence.key] = absence
    return true
  }

  /// A client's connection has ended.
  ///
  /// - Returns: who has been away for too long.
  mutating func leave(_ absence: Absence) -> Absence? {
    guard clients[absence.key] === absence else { return nil }
    absent.append(absence.key)
    return absent.count > Self.mostAbsent ? clients[absent.removeFirst()] : nil
  }

  /// The client of a key has come again.
  ///
  /// - Returns: nil for a second one, and when it is not expected any more.
  mutating func admit(_ key: UInt64) -> Absence? {
    absent.removeAll { $0 == key }
    return clients.removeValue(forKey: key)
  }

  /// Expects a client no more.
  ///
  /// - Returns: whether it was expected still, and has not come.
  mutating func forget(_ absence: Absence) -> Bool {
    // Who has come may be expected again, under the same key.
    guard clients[absence.key] === absence else { return false }
    return admit(absence.key) != nil
  }
}

extension Lobby {
  /// The number of clients whose connections broke and for whom something is kept, for tests.
  package var absentClientCount: Int { clients.withLock { $0.absentCount } }

  /// The client at the other end may come again by another connection.
  ///
  /// - Throws: ``RuntimeError/Code/malformedMessage`` when another client has the key.
  func expectReturn(of peer: Peer, under key: UInt64) throws(RuntimeError) -> Absence {
    let absence = Absence(of: peer, key: key)
    guard clients.withLock({ $0.expect(absence) }) else {
      throw RuntimeError(.malformedMessage, "The key is not new.")
    }
    return absence
  }

  /// What waits for the client of this key, whose connection is ended first if need be.
  ///
  /// - Throws: ``RuntimeError/Code/unknownTarget`` when nothing waits.
  func admit(returning key: UInt64) async throws -> Household {
    guard let absence = clients.withLock({ $0.admit(key) }) else {
      throw RuntimeError(.unknownTarget, "Nothing is kept here for this client any more.")
    }
    absence.wait.settle(.success(()))
    absence.peer.link.close(RuntimeError(.workerLost, "The client has connected again."))
    return try await absence.household.result.get()
  }

  /// The connection has ended: keeps what was made for it until the client comes again, the time is over, the calling task is cancelled
  /// or too many others wait.
  ///
  /// - Returns: whether the client has come, and what was made is its new connection's.
  func keep(_ household: Household, during absence: Absence, for limit: Duration) async -> Bool {
    var household = household
    // Or the two would keep each other.
    household.absence = nil
    absence.household.settle(.success(household))
    if limit > .zero {
      clients.withLock { $0.leave(absence) }?.wait.settle(.success(()))
      let end = Deadline(at: Alarm.now + limit) { absence.wait.settle(.success(())) }
      end.set()
      await withTaskCancellationHandler {
        _ = await absence.wait.result
      } onCancel: {
        absence.wait.settle(.success(()))
      }
      end.clear()
    }
    return !clients.withLock { $0.forget(absence) }
  }
}
