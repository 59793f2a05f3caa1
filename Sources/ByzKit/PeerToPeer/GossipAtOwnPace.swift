import ByzRuntime
import ByzTensor

/// The talk of a node at its own pace, which waits for nobody: it listens all the time, and while a letter is on its way to a
/// neighbor only the newest of those after it waits. So a neighbor that is slow, or takes nothing in, holds up no round.
final class GossipAtOwnPace: GossipTalk, Sendable {
  private struct News: Sendable {
    var state: GossipState
    var dropped: [DroppedVector] = []
    /// What was heard in this round, once that is decided.
    var heard: Heard?
    /// Settled then, or when nothing can be heard any more.
    var decision = Promise<Void>()
    var failure: (any Error)?
    /// The newest round of each neighbor.
    var newest: [Int: Int] = [:]
    /// How many letters of each neighbor came since the round before ended.
    var counts: [Int: Int] = [:]
    /// Settled when the round ends.
    var roundEnd = Promise<Void>()
    /// By round, the neighbors whom its letter has not reached.
    var unsaid: [Int: Set<Int>] = [:]
    /// Neighbors to whom something may still be said.
    var openWays: Int
    /// Whether no more rounds come.
    var isEnding = false

    mutating func handle(_ event: GossipState.Event) {
      for directive in state.handle(event) {
        switch directive {
        case .drop(let vector):
          // A neighbor may send as much rubbish as it likes; the report stays small.
          if dropped.count < GossipReport.maxDropped { dropped.append(vector) }
        case .proceed(let record, let vectors):
          heard = (record, vectors)
          decision.settle(.success(()))
          counts = [:]
          roundEnd.settle(.success(()))
          roundEnd = Promise()
        }
      }
    }

    /// Counts a letter, and returns whether the others of its sender are to wait for the end of the round. One that catches up with the
    /// node is needed, and its letters are not counted: there are no more of them than rounds.
    mutating func hasEnough(of message: GossipMessage, from sender: Int) -> Bool {
      let isNews = message.round > newest[sender, default: -1]
      if isNews { newest[sender] = message.round }
      if isNews, state.isTooOld(message.round) { return false }
      counts[sender, default: 0] += 1
      return counts[sender] == GossipAtOwnPace.mostLetters
    }
  }

  /// The letters to one neighbor.
  private typealias Way = (
    stream: AsyncStream<GossipMessage>, continuation: AsyncStream<GossipMessage>.Continuation
  )

  private let news: Monitor<News>
  private let senders: [Int]
  private let ways: [Int: Way]
  /// Settled when everything is said, or never will be.
  private let lastWord = Promise<Void>()
  /// How many letters of one neighbor a round takes in: the others wait where they are, and cost this node nothing.
  fileprivate static let mostLetters = 64
  private let transport: any GossipTransport
  private let clock: any Clock<Duration>
  private let deadline: Duration

  /// The talk of one run.
  ///
  /// - Parameters:
  ///   - state: what was heard before.
  ///   - senders: who sends to the node, whether or not it counts.
  ///   - receivers: to whom it sends.
  ///   - transport: the way to both.
  ///   - clock: what measures the deadline.
  ///   - deadline: the longest a round waits, and the end of the run for the last letters.
  init(
    _ state: GossipState, hearing senders: [Int], telling receivers: [Int],
    over transport: any GossipTransport, clock: any Clock<Duration>, deadline: Duration
  ) {
    news = Monitor(News(state: state, openWays: receivers.count))
    self.senders = senders
    ways = Dictionary(
      uniqueKeysWithValues: receivers.map {
        ($0, AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)))
      })
    self.transport = transport
    self.clock = clock
    self.deadline = deadline
  }

  /// Talks while `body` runs the rounds, and then until the last letters are said, or the deadline.
  ///
  /// - Returns: the reports of the rounds, with what became known later.
  func during(
    isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> [GossipReport]
  ) async throws -> [GossipReport] {
    var reports = try await withThrowingDiscardingTaskGroup { group in
      for sender in senders { group.addTask { await self.listen(to: sender) } }
      for (neighbor, way) in ways {
        group.addTask { await self.carry(way.stream, to: neighbor) }
      }
      let reports = try await body()
      news.withLock { $0.isEnding = true }
      for way in ways.values { way.continuation.finish() }
      if !ways.isEmpty { _ = try await isInTime(lastWord) }
      group.cancelAll()
      return reports
    }
    let (unsaid, dropped) = news.withLock { ($0.unsaid, $0.dropped) }
    for index in reports.indices {
      reports[index].undelivered = unsaid[reports[index].record.round, default: []].sorted()
    }
    if let last = reports.indices.last {
      let room = GossipReport.maxDropped - reports[last].dropped.count
      reports[last].dropped += dropped.prefix(room)
    }
    return reports
  }

  var state: GossipState { news.withLock(\.state) }

  func hear(saying letters: [Outgoing]) async throws -> Heard {
    say(letters)
    // Also where older vectors are enough, what has arrived gets a chance to be taken in.
    await Task.yield()
    let decision = Promise<Void>()
    let isDecided = news.withLock { news in
      news.heard = nil
      news.decision = decision
      if let failure = news.failure { decision.settle(.failure(failure)) }
      news.handle(.began)
      return news.heard != nil && news.failure == nil
    }
    if !isDecided, try await !isInTime(decision) { news.withLock { $0.handle(.deadline) } }
    try Task.checkCancellation()
    guard let heard = news.withLock(\.heard) else {
      preconditionFailure("A deadline decides every round.")
    }
    return heard
  }

  func say(_ letters: [Outgoing]) {
    for (neighbor, message) in letters {
      news.withLock { _ = $0.unsaid[message.round, default: []].insert(neighbor) }
      ways[neighbor]?.continuation.yield(message)
    }
  }

  /// Whom letters did not reach is known at the end of the run.
  func takeLosses() -> (dropped: [DroppedVector], undelivered: [Int]) {
    news.withLock { news in
      defer { news.dropped = [] }
      return (news.dropped, [])
    }
  }

  /// Takes in what a neighbor sends, until it leaves.
  private func listen(to sender: Int) async {
    do {
      while !Task.isCancelled {
        switch try await transport.next(from: sender) {
        case .message(let message): await take(message, from: sender)
        case .left:
          news.withLock { $0.handle(.left(sender)) }
          return
        }
      }
    } catch {
      guard !Task.isCancelled else { return }
      news.withLock { news in
        news.failure = error
        news.decision.settle(.failure(error))
      }
    }
  }

  /// Takes in a letter; where a round has had enough of its sender, returns when that ends.
  private func take(_ message: GossipMessage, from sender: Int) async {
    let roundEnd = news.withLock { news in
      news.handle(.received(message, from: sender))
      return news.hasEnough(of: message, from: sender) ? news.roundEnd : nil
    }
    guard let roundEnd else { return }
    await withTaskCancellationHandler {
      _ = await roundEnd.result
    } onCancel: {
      // All who wait are cancelled together.
      roundEnd.settle(.success(()))
    }
  }

  /// Sends letters one after another.
  private func carry(_ letters: AsyncStream<GossipMessage>, to neighbor: Int) async {
    for await message in letters {
      do {
        try await transport.send(message, to: neighbor)
        news.withLock { _ = $0.unsaid[message.round]?.remove(neighbor) }
      } catch {
        // A neighbor that cannot be reached is its own misfortune, and reported. One that took nothing in for so long gets no last letter.
        let isMute = (error as? RuntimeError)?.code == .deadlineExceeded
        if isMute, news.withLock(\.isEnding) { break }
      }
    }
    let isLast = news.withLock { news in
      news.openWays -= 1
      return news.openWays == 0
    }
    if isLast { lastWord.settle(.success(())) }
  }

  /// Waits until a promise is settled, for no longer than the deadline.
  private func isInTime(_ promise: Promise<Void>) async throws -> Bool {
    let (clock, deadline) = (clock, deadline)
    return try await withThrowingTaskGroup { group in
      group.addTask {
        try await clock.sleep(for: deadline)
        return false
      }
      group.addTask {
        try await withTaskCancellationHandler {
          try await promise.result.get()
          return true
        } onCancel: {
          promise.settle(.failure(CancellationError()))
        }
      }
      defer { group.cancelAll() }
      return try await group.next() ?? false
    }
  }
}
