import ByzRuntime
import ByzRuntimeTestSupport
import Testing

@Suite("MessageInbox", .timeLimit(.minutes(3)))
struct MessageInboxTests {
  /// Returns when so many wait; gives way in between.
  private func waiting(_ count: Int, in inbox: MessageInbox) async {
    while inbox.waitingCount < count { await Task.yield() }
  }

  private func number(_ message: any Sendable) -> Int? { message as? Int }

  @Test("delivers each message exactly once, whoever sends and receives how many")
  func exactlyOnce() async throws {
    let inbox = MessageInbox(capacity: 3)
    let received = try await withThrowingTaskGroup(of: [Int].self) { group in
      for sender in 0..<4 {
        group.addTask {
          for i in 0..<200 { try await inbox.deliver(200 * sender + i, type: "x") }
          return []
        }
      }
      for _ in 0..<8 {
        group.addTask {
          var received: [Int] = []
          for _ in 0..<100 { received.append(try #require(try await inbox.receive("x") as? Int)) }
          return received
        }
      }
      return try await group.reduce([], +)
    }
    #expect(received.sorted() == Array(0..<800))
    #expect(inbox.count(of: "x") == 0 && inbox.waitingCount == 0)
  }

  @Test("keeps the order of one sender for one receiver")
  func order() async throws {
    let inbox = MessageInbox(capacity: 2)
    async let sent: Void = {
      for i in 0..<100 { try await inbox.deliver(i, type: "x") }
    }()
    var received: [Int?] = []
    for _ in 0..<100 { received.append(number(try await inbox.receive("x"))) }
    try await sent
    #expect(received == Array(0..<100))
  }

  @Test("holds messages of so many types only")
  func types() async throws {
    let inbox = MessageInbox(capacity: 2)
    for type in 0..<1024 { #expect(inbox.offer(type, type: "\(type)")) }
    #expect(!inbox.offer(0, type: "one more"))
    let error = await #expect(throws: RuntimeError.self) {
      try await inbox.deliver(0, type: "one more")
    }
    #expect(error?.code == .limitExceeded)
    #expect(inbox.offer(1, type: "7"))
    for _ in 0..<2 { _ = try await inbox.receive("7") }
    try await inbox.deliver(0, type: "one more")
    #expect(number(try await inbox.receive("one more")) == 0)
  }

  @Test("lets a sender wait while it is full, and tells one that does not wait")
  func backPressure() async throws {
    let inbox = MessageInbox(capacity: 1)
    #expect(inbox.offer(1, type: "x"))
    #expect(!inbox.offer(2, type: "x"))
    let sender = Task { try await inbox.deliver(3, type: "x") }
    await waiting(1, in: inbox)
    #expect(inbox.count(of: "x") == 1)
    #expect(number(try await inbox.receive("x")) == 1)
    try await sender.value
    #expect(number(try await inbox.receive("x")) == 3)
  }

  @Test("loses nothing to a receiver that is cancelled, and keeps nothing of it")
  func cancelledReceiver() async throws {
    let inbox = MessageInbox()
    for round in 0..<100 {
      let receiver = Task { try await inbox.receive("x") }
      if round % 2 == 0 { await waiting(1, in: inbox) }
      receiver.cancel()
      _ = inbox.offer(round, type: "x")
      // Either it has the message, or the next one gets it.
      let message: any Sendable
      do {
        message = try await receiver.value
      } catch {
        message = try await inbox.receive("x")
      }
      #expect(number(message) == round)
    }
    #expect(inbox.waitingCount == 0 && inbox.count(of: "x") == 0)
  }

  @Test("takes nothing from a sender that is cancelled while it waits")
  func cancelledSender() async throws {
    let inbox = MessageInbox(capacity: 1)
    _ = inbox.offer(1, type: "x")
    let sender = Task { try await inbox.deliver(2, type: "x") }
    await waiting(1, in: inbox)
    sender.cancel()
    await #expect(throws: CancellationError.self) { try await sender.value }
    _ = try await inbox.receive("x")
    #expect(inbox.count(of: "x") == 0 && inbox.waitingCount == 0)
  }

  @Test("gives up when the time is over; what comes later goes to the next receiver")
  func timeout() async throws {
    let clock = ManualClock()
    let inbox = MessageInbox(capacity: 4, clock: RuntimeClock(clock))
    let receiver = Task { try await inbox.receive("x", timeout: .seconds(3)) }
    await clock.sleepers(1)
    clock.advance(by: .seconds(3))
    #expect(await runtimeError { try await receiver.value } == .deadlineExceeded)
    #expect(inbox.waitingCount == 0)
    _ = inbox.offer(1, type: "x")
    #expect(number(try await inbox.receive("x", timeout: .seconds(3))) == 1)
  }

  @Test("ends a receiver with a time limit that is cancelled")
  func cancelledWithTimeout() async throws {
    let inbox = MessageInbox()
    let receiver = Task { try await inbox.receive("x", timeout: .seconds(600)) }
    await waiting(1, in: inbox)
    receiver.cancel()
    await #expect(throws: CancellationError.self) { try await receiver.value }
  }

  @Test("when closed ends those that wait, and still gives out what it has")
  func close() async throws {
    let inbox = MessageInbox()
    _ = inbox.offer(1, type: "x")
    let receiver = Task { try await inbox.receive("y") }
    await waiting(1, in: inbox)
    inbox.close()
    #expect(await runtimeError { try await receiver.value } == .stopped)
    #expect(await runtimeError { try await inbox.deliver(2, type: "x") } == .stopped)
    #expect(!inbox.offer(2, type: "x"))
    #expect(number(try await inbox.receive("x")) == 1)
    #expect(await runtimeError { try await inbox.receive("x") } == .stopped)
  }
}
