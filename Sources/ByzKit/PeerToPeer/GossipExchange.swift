import ByzTensor

/// One round's talk with the neighbors: sends and receives at the same time, so that two nodes that
/// send to each other never wait for each other, and ends when all is said and heard, or at the
/// deadline. A neighbor that is too far ahead is not listened to, so that it waits.
struct GossipExchange {
  var state: GossipState
  /// Who sends to the node, whether or not it counts.
  let senders: [Int]
  let transport: any GossipTransport
  let clock: any Clock<Duration>
  let deadline: Duration
  private(set) var dropped: [DroppedVector] = []
  private(set) var undelivered: [Int] = []
  /// What was heard, once that is decided.
  private var heard: (record: GossipRecord, vectors: [Tensor<Float>])?

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

  /// Sends the messages and, if `listening`, waits until the round is decided.
  ///
  /// - Throws: `CancellationError`; what ``GossipTransport/next(from:)`` throws.
  mutating func run(
    sending messages: [(to: Int, message: GossipMessage)] = [], listening: Bool
  ) async throws {
    if listening { handle(.began) }
    var unsent = Set(messages.map(\.to))
    var open = messages.count
    let (transport, clock, deadline) = (transport, clock, deadline)
    try await withThrowingTaskGroup(of: Step.self) { group in
      for (neighbor, message) in messages {
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

  /// What was heard in a round that was listened to.
  var decision: (record: GossipRecord, vectors: [Tensor<Float>]) {
    guard let heard else { preconditionFailure("A deadline decides every round.") }
    return heard
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
