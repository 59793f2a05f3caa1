import ByzTensor

/// The talk of a node in step: sends and receives at the same time, so that two nodes that
/// send to each other never wait for each other, until all is said and heard, or the
/// deadline. A neighbor that is too far ahead is not listened to, so that it waits.
struct GossipExchange: GossipTalk {
  private(set) var state: GossipState
  /// Who sends to the node, whether or not it counts.
  private let senders: [Int]
  private let transport: any GossipTransport
  private let clock: any Clock<Duration>
  private let deadline: Duration
  private var dropped: [DroppedVector] = []
  private var undelivered: [Int] = []
  /// What was heard in this round, once that is decided.
  private var heard: Heard?

  private enum Step: Sendable {
    case sent(to: Int)
    case failed
    case received(GossipEvent, from: Int)
    case deadline
  }

  init(
    _ state: GossipState, hearing senders: [Int], over transport: any GossipTransport,
    clock: any Clock<Duration>, deadline: Duration
  ) {
    self.state = state
    self.senders = senders
    self.transport = transport
    self.clock = clock
    self.deadline = deadline
  }

  mutating func hear(saying letters: [Outgoing]) async throws -> Heard {
    heard = nil
    handle(.began)
    try await exchange(letters, listening: true)
    guard let heard else { preconditionFailure("A deadline decides every round.") }
    return heard
  }

  mutating func say(_ letters: [Outgoing]) async throws {
    try await exchange(letters, listening: false)
  }

  mutating func takeLosses() -> (dropped: [DroppedVector], undelivered: [Int]) {
    defer { (dropped, undelivered) = ([], []) }
    return (dropped, undelivered)
  }

  private mutating func exchange(_ letters: [Outgoing], listening: Bool) async throws {
    var unsent = Set(letters.map(\.to))
    var open = letters.count
    let (transport, clock, deadline) = (transport, clock, deadline)
    try await withThrowingTaskGroup(of: Step.self) { group in
      for (neighbor, message) in letters {
        group.addTask {
          do {
            try await transport.send(message, to: neighbor)
            return .sent(to: neighbor)
          } catch {
            // A neighbor that cannot be reached is its own misfortune, and reported.
            return .failed
          }
        }
      }
      group.addTask {
        try await clock.sleep(for: deadline)
        return .deadline
      }
      for sender in senders { listen(to: sender, in: &group) }
      while open > 0 || (listening && heard == nil) {
        switch try await group.next() {
        case .sent(let neighbor):
          unsent.remove(neighbor)
          open -= 1
        case .failed: open -= 1
        case .received(let event, let sender):
          take(event, from: sender)
          if case .message = event { listen(to: sender, in: &group) }
        case .deadline:
          handle(.deadline)
          open = 0
        case nil: open = 0
        }
      }
      group.cancelAll()
      // What ended while it was being cancelled has happened all the same.
      while let last = await group.nextResult() {
        switch last {
        case .success(.received(let event, let sender)): take(event, from: sender)
        case .success(.sent(let neighbor)): unsent.remove(neighbor)
        default: break
        }
      }
    }
    try Task.checkCancellation()
    undelivered += unsent.sorted()
  }

  /// Waits for what comes next from a node, if there is room for it.
  private func listen(to sender: Int, in group: inout ThrowingTaskGroup<Step, any Error>) {
    guard state.hasRoom(for: sender) else { return }
    let transport = transport
    group.addTask {
      let event = try await transport.next(from: sender)
      return .received(event, from: sender)
    }
  }

  private mutating func take(_ event: GossipEvent, from sender: Int) {
    switch event {
    case .message(let message): handle(.received(message, from: sender))
    case .left: handle(.left(sender))
    }
  }

  private mutating func handle(_ event: GossipState.Event) {
    for directive in state.handle(event) {
      switch directive {
      case .drop(let vector):
        // A neighbor may send as much rubbish as it likes; the report stays small.
        if dropped.count < GossipReport.maxDropped { dropped.append(vector) }
      case .proceed(let record, let vectors): heard = (record, vectors)
      }
    }
  }
}
