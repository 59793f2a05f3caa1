import ByzRuntime
import ByzTCP
import Distributed

/// A letter of one of the actors that write, and its place among that actor's letters.
struct Note: Codable, Sendable {
  var author: Int
  var number: Int
}

/// What an actor was told about a letter.
enum Delivery: Int, Codable, Sendable {
  case isIn, isNotIn, isUnknown
}

/// Writes numbered letters to a mailbox, one after the other.
distributed actor Correspondent: RemoteActor {
  typealias ActorSystem = ByzActorSystem
  private let author: Int
  private let mailbox: MailboxAddress
  private var deliveries: [Delivery] = []
  private var isWriting = false

  struct Arguments: Codable, Sendable {
    var author: Int
    var mailbox: MailboxAddress
  }

  init(_ arguments: Arguments, actorSystem: ByzActorSystem) {
    (author, mailbox) = (arguments.author, arguments.mailbox)
    self.actorSystem = actorSystem
  }

  /// Writes more letters, unless that is being done already for a caller whose connection broke.
  ///
  /// - Returns: what became of all letters but the first `known`.
  distributed func write(_ count: Int, after known: Int) async throws -> [Delivery] {
    if !isWriting {
      isWriting = true
      defer { isWriting = false }
      for _ in 0..<min(count, 100) { deliveries.append(try await writeOne()) }
    }
    return Array(deliveries.dropFirst(known))
  }

  private func writeOne() async throws -> Delivery {
    do {
      try await actorSystem.send(Note(author: author, number: deliveries.count), to: mailbox)
      return .isIn
    } catch let error as RuntimeError where error.code == .unknownTarget {
      return .isNotIn
    } catch let error as RuntimeError
      where [.deliveryUnknown, .deadlineExceeded].contains(error.code)
    {
      return .isUnknown
    } catch is CancellationError {
      return .isNotIn
    }
  }
}

/// What has come out of the mailbox, and what must.
struct Correspondence: Sendable {
  private var received: [Int: [Int]] = [:]
  private var delivered: [Int: Set<Int>] = [:]
  private var refused: [Int: Set<Int>] = [:]
  private var authors = 0
  /// How many letters came out.
  private(set) var count = 0
  /// Of how many the author was not told.
  private(set) var unknown = 0

  mutating func newAuthor() -> Int {
    defer { authors += 1 }
    return authors
  }

  mutating func received(_ letter: Note) {
    received[letter.author, default: []].append(letter.number)
    count += 1
  }

  /// What became of an author's letters from `first` on.
  mutating func wrote(_ deliveries: [Delivery], from first: Int, by author: Int) {
    for (number, delivery) in zip(first..., deliveries) {
      switch delivery {
      case .isIn: delivered[author, default: []].insert(number)
      case .isNotIn: refused[author, default: []].insert(number)
      case .isUnknown: unknown += 1
      }
    }
  }

  /// Checks that nothing came out twice, what was refused did not, and what was acknowledged did, in its order.
  func check() throws {
    for author in 0..<authors {
      let numbers = received[author] ?? []
      guard Set(numbers).count == numbers.count else {
        throw FaultFailure("A letter came out twice: \(numbers)")
      }
      let wrong = refused[author]?.intersection(numbers) ?? []
      guard wrong.isEmpty else {
        throw FaultFailure("Letters came out that were refused: \(wrong.sorted())")
      }
      let expected = delivered[author] ?? []
      let inOrder = numbers.filter(expected.contains)
      guard inOrder == expected.sorted() else {
        throw FaultFailure(
          "Of the letters that were acknowledged, \(expected.sorted()), there came \(inOrder).")
      }
    }
  }
}

extension FaultRun {
  /// Has an actor behind each proxy write to a mailbox of this process while things fail. A letter comes out once at most, and
  /// once where its author was told so; and for as long as its host lives letters come again when nothing fails any more.
  func letters() async throws {
    try await withActorSystem(faultRegistry, liveness: faultLiveness) { system in
      witnesses.watch(system)
      let correspondence = Monitor(Correspondence())
      // Few, so that authors wait for room.
      let mailbox = try system.mailbox(named: "letters", of: Note.self, capacity: 4)
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
          for await letter in mailbox {
            correspondence.withLock { $0.received(letter.value) }
          }
        }
        try await withThrowingDiscardingTaskGroup { authors in
          for index in self.proxies.indices {
            authors.addTask {
              while !self.isOver {
                try await self.write(
                  from: index, to: mailbox.address, in: system, noting: correspondence)
              }
            }
          }
        }
        mailbox.close()
        try await group.waitForAll()
      }
      try correspondence.withLock { try $0.check() }
      let (count, unknown) = correspondence.withLock { ($0.count, $0.unknown) }
      counts.withLock {
        $0.letters += count
        $0.unknownLetters += unknown
      }
    }
  }

  /// Has one actor write until its host has been killed, or nothing fails any more.
  private func write(
    from index: Int, to mailbox: MailboxAddress, in system: ByzActorSystem,
    noting correspondence: Monitor<Correspondence>
  ) async throws {
    let author = correspondence.withLock { $0.newAuthor() }
    let deaths = deathCount(of: index)
    let writer: Correspondent
    do {
      writer = try await system.spawn(
        Correspondent.self, Correspondent.Arguments(author: author, mailbox: mailbox),
        on: .tcp("127.0.0.1:\(proxies[index].port)", tcpOptions))
    } catch {
      // A host that was killed may have no successor.
      try check(error, among: [.workerLost, .workerStartFailed])
      return try await Task.sleep(for: .milliseconds(10))
    }
    var known = 0
    /// Whether the last letter is known to be in.
    func writeSome() async throws -> Bool {
      do {
        let deliveries = try await writer.write(10, after: known)
        correspondence.withLock { $0.wrote(deliveries, from: known, by: author) }
        known += deliveries.count
        return deliveries.last == .isIn
      } catch {
        try check(error, among: [.workerLost])
        return false
      }
    }
    while !isOver {
      let isIn = try await writeSome()
      if !isIn, deathCount(of: index) > deaths { return }
    }
    // Nothing fails any more.
    guard ending == .rightBits else { return }
    for _ in 0..<10 {
      if try await writeSome() || deathCount(of: index) > deaths { return }
    }
    throw FaultFailure("Letters do not come any more though their author's host lives.")
  }
}
