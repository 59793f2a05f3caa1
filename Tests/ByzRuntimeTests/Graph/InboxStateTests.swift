import ByzRuntime
import Testing

@Suite("InboxState")
struct InboxStateTests {
  private typealias State = InboxState<Int>

  private func describe(_ directives: [InboxState<Int>.Directive]) -> [String] {
    directives.map { directive in
      switch directive {
      case .give(let message, let id): "give \(message) to \(id)"
      case .accept(let id): "accept \(id)"
      case .refuse(let id): "refuse \(id)"
      }
    }
  }

  private func offer(_ state: inout InboxState<Int>, _ message: Int, _ type: String) -> [String]? {
    let (isAccepted, directives) = state.offer(message, type)
    return isAccepted ? describe(directives) : nil
  }

  @Test("gives a message to the receiver that has waited longest, and to no other")
  func oneReceiver() {
    var state = State(capacity: 4)
    let waiting = [1, 2].map { state.receive("x", by: $0) }
    #expect(waiting.map(\.count) == [0, 0])
    #expect(offer(&state, 10, "x") == ["give 10 to 1"])
    #expect(offer(&state, 20, "x") == ["give 20 to 2"])
    #expect(state.count(of: "x") == 0)
    #expect(state.waitingCount == 0)
  }

  @Test("gives messages that nobody waited for in their order, each once")
  func order() {
    var state = State(capacity: 4)
    for message in [10, 20] { #expect(offer(&state, message, "x") == []) }
    let given = (1...3).map { describe(state.receive("x", by: $0)) }
    #expect(given == [["give 10 to 1"], ["give 20 to 2"], []])
  }

  @Test("keeps types apart")
  func types() {
    var state = State(capacity: 1)
    let waiting = state.receive("x", by: 1)
    #expect(waiting.isEmpty)
    #expect(offer(&state, 10, "y") == [])
    #expect(offer(&state, 20, "x") == ["give 20 to 1"])
    #expect(state.count(of: "y") == 1)
  }

  @Test("takes no more than its capacity: refuses what is offered, and lets senders wait in order")
  func capacity() {
    var state = State(capacity: 2)
    for message in [10, 20] { #expect(offer(&state, message, "x") == []) }
    #expect(offer(&state, 30, "x") == nil)
    let sent = [state.send(40, "x", from: 4), state.send(50, "x", from: 5)]
    #expect(sent.map(\.count) == [0, 0])
    #expect(state.count(of: "x") == 2)
    let given = (1...5).map { describe(state.receive("x", by: $0)) }
    #expect(
      given == [
        ["give 10 to 1", "accept 4"], ["give 20 to 2", "accept 5"], ["give 40 to 3"],
        ["give 50 to 4"], [],
      ])
  }

  @Test("does not let an offer pass a sender that waits for room")
  func noOvertaking() {
    var state = State(capacity: 1)
    _ = state.offer(10, "x")
    _ = state.send(20, "x", from: 1)
    _ = state.receive("x", by: 2)
    #expect(offer(&state, 30, "x") == nil)
  }

  @Test("gives a message past a receiver that was cancelled, and loses none")
  func cancelledReceiver() {
    var state = State(capacity: 1)
    _ = state.receive("x", by: 1)
    _ = state.receive("x", by: 2)
    let first = [state.cancel(1, "x"), state.cancel(1, "x")]
    #expect(first == [true, false])
    #expect(offer(&state, 10, "x") == ["give 10 to 2"])
    let late = state.cancel(2, "x")
    #expect(!late, "it has its message already")
    #expect(state.waitingCount == 0)
  }

  @Test("forgets the message of a sender that was cancelled")
  func cancelledSender() {
    var state = State(capacity: 1)
    _ = state.offer(10, "x")
    _ = state.send(20, "x", from: 1)
    let isCancelled = state.cancel(1, "x")
    #expect(isCancelled)
    let given = [describe(state.receive("x", by: 2)), describe(state.receive("x", by: 3))]
    #expect(given == [["give 10 to 2"], []])
  }

  @Test("when closed gives out what it has, and refuses everyone else")
  func close() {
    var state = State(capacity: 1)
    _ = state.receive("y", by: 1)
    _ = state.offer(10, "x")
    _ = state.send(20, "x", from: 2)
    let closed = describe(state.close())
    #expect(closed == ["refuse 2", "refuse 1"])
    #expect(offer(&state, 30, "z") == nil)
    let after = [
      describe(state.send(40, "x", from: 3)), describe(state.receive("x", by: 4)),
      describe(state.receive("x", by: 5)),
    ]
    #expect(after == [["refuse 3"], ["give 10 to 4"], ["refuse 5"]])
  }
}
