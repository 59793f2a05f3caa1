import ByzRuntime
import ByzTensor
import CByzSystem
import Testing

/// The link without a process: both ends are here.
@Suite("Process link", .timeLimit(.minutes(3)))
struct ProcessLinkTests {
  @Test(
    "a message arrives whole, with tensors empty, small, lent in place and copied",
    arguments: [[], [0], [3], [0, 1, 0], [5000], [20_000], [300_000, 0, 7, 20_000]])
  func roundTrip(sizes: [Int]) async throws {
    let pair = try LinkPair()
    let (inbox, other) = (Inbox(), Inbox())
    pair.here.start(inbox)
    pair.there.start(other)
    var message = Message.sample(7, sizes: sizes)
    for segment in message.segments where segment.byteCount > 0 {
      message.segments.append(try pair.arena.copy(of: segment))
    }
    pair.here.send(message)
    let arrived = try await other.next()
    #expect(arrived.agrees(with: message))
    pair.there.send(arrived)
    #expect(try await inbox.next().agrees(with: message))
    pair.close()
    #expect(try await inbox.closed().code == .stopped)
    _ = try await other.closed()
  }

  @Test("what was lent comes back when the last tensor of the other side is gone, and not before")
  func leases() async throws {
    let pair = try LinkPair()
    let (inbox, other) = (Inbox(), Inbox())
    pair.here.start(inbox)
    pair.there.start(other)
    let shared = try pair.arena.copy(of: Tensor<Float>(repeating: 1, shape: [2000]).segment)
    pair.here.send(Message(.call, segments: [shared]))
    pair.here.send(Message(.call, segments: [shared]))
    pair.here.send(.sample(1, sizes: [100_000]))
    var first: Message? = try await other.next()
    var second: Message? = try await other.next()
    var tensor: Tensor<Float>? = try Tensor(
      shape: [100_000], segment: try await other.next().segments[0])
    #expect(pair.here.lentSegmentCount == 2)
    first = nil
    tensor = nil
    // Its memory is freed after it has been taken back.
    #expect(
      await eventually { pair.here.lentSegmentCount == 1 && pair.arena.usedByteCount == 8000 })
    withExtendedLifetime((first, second, tensor)) {}
    second = nil
    #expect(await eventually { pair.here.lentSegmentCount == 0 })
    pair.close()
  }

  @Test("a tensor that was received does not change when either side writes to it")
  func valueSemantics() async throws {
    let pair = try LinkPair()
    let other = Inbox()
    pair.here.start(Inbox())
    pair.there.start(other)
    let copy = try pair.arena.copy(of: Tensor<Float>(repeating: 1, shape: [5000]).segment)
    var mine = try Tensor<Float>(shape: [5000], segment: copy)
    pair.here.send(Message(.call, segments: [mine.segment]))
    var theirs = try Tensor<Float>(shape: [5000], segment: try await other.next().segments[0])
    mine[0] = 2
    theirs[1] = 3
    #expect(mine[0] == 2 && mine[1] == 1)
    #expect(theirs[0] == 1 && theirs[1] == 3)
    pair.close()
  }

  @Test("a lent tensor may be kept after the link has closed")
  func keepAfterClose() async throws {
    let pair = try LinkPair()
    let (inbox, other) = (Inbox(), Inbox())
    pair.here.start(inbox)
    pair.there.start(other)
    let message = Message.sample(3, sizes: [100_000])
    pair.here.send(message)
    let arrived = try await other.next()
    pair.there.close(RuntimeError(.stopped, "Enough."))
    #expect(try await inbox.closed().code == .workerLost)
    #expect(pair.here.lentSegmentCount == 0)
    #expect(arrived.agrees(with: message))
  }

  @Test("messages of 32 senders arrive whole, and those of one sender in order")
  func concurrentSenders() async throws {
    let pair = try LinkPair()
    let other = Inbox()
    pair.here.start(Inbox())
    pair.there.start(other)
    let (senders, rounds) = (32, 20)
    try await withThrowingTaskGroup { group in
      for sender in 0..<senders {
        group.addTask {
          for round in 0..<rounds {
            let call = UInt64(sender * 1000 + round)
            try await pair.here.waitUntilWritable()
            pair.here.send(.sample(call, sizes: [0, sender * 40, round == 3 ? 20_000 : 1]))
          }
        }
      }
      try await group.waitForAll()
    }
    var last = [Int](repeating: -1, count: senders)
    for _ in 0..<senders * rounds {
      let message = try await other.next()
      let (sender, round) = Int(message.call).quotientAndRemainder(dividingBy: 1000)
      #expect(round == last[sender] + 1)
      last[sender] = round
      let expected = Message.sample(
        message.call, sizes: [0, sender * 40, round == 3 ? 20_000 : 1])
      #expect(message.agrees(with: expected))
    }
    pair.close()
  }

  @Test(
    "a link that closes when all is sent has sent all, also what was left to its reading thread")
  func closesWhenSent() async throws {
    let count: UInt64 = 64
    for _ in 0..<20 {
      let pair = try LinkPair()
      let (inbox, other) = (Inbox(), Inbox())
      pair.here.start(inbox)
      pair.there.start(other)
      for call in 1...count { pair.here.send(Message(.call, call: call, body: [1, 2, 3])) }
      await withTaskGroup { group in
        for await call in other.messages.prefix(Int(count)) {
          group.addTask { pair.there.send(Message(.reply, call: call.call)) }
        }
      }
      pair.there.closeWhenSent(RuntimeError(.stopped, "Done."))
      var answered: Set<UInt64> = []
      for await reply in inbox.messages { answered.insert(reply.call) }
      #expect(answered == Set(1...count))
      _ = try await other.closed()
    }
  }

  @Test("senders wait while the other side does not read, and go on when it does")
  func backPressure() async throws {
    let pair = try LinkPair()
    pair.here.start(Inbox())
    let message = Message(.call, body: [UInt8](repeating: 5, count: 1 << 20))
    var sent = 0
    // `there` has not been started, so nothing is read.
    while sent < 20 {
      pair.here.send(message)
      sent += 1
    }
    let waiting = Task { try await pair.here.waitUntilWritable() }
    let cancelled = Task { try await pair.here.waitUntilWritable() }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    let other = Inbox()
    pair.there.start(other)
    try await waiting.value
    for _ in 0..<sent { #expect(try await other.next().body.count == 1 << 20) }
    pair.close()
  }

  @Test("who waits for room is told when the link closes")
  func closeWhileWaiting() async throws {
    let pair = try LinkPair()
    pair.here.start(Inbox())
    for _ in 0..<20 {
      pair.here.send(Message(.call, body: [UInt8](repeating: 5, count: 1 << 20)))
    }
    let waiting = Task { try await pair.here.waitUntilWritable() }
    pair.here.close(RuntimeError(.stopped, "Enough."))
    let error = await #expect(throws: RuntimeError.self) { try await waiting.value }
    #expect(error?.code == .workerLost)
    await #expect(throws: RuntimeError.self) { try await pair.here.waitUntilWritable() }
  }

  @Test("when the arena is full, tensors go through the socket")
  func fullArena() async throws {
    let pair = try LinkPair(arenaByteCount: 1 << 20)
    let other = Inbox()
    pair.here.start(Inbox())
    pair.there.start(other)
    let message = Message.sample(9, sizes: [200_000, 200_000, 400_000])
    pair.here.send(message)
    #expect(try await other.next().agrees(with: message))
    #expect(pair.here.lentSegmentCount <= 1)
    pair.close()
  }

  @Test(
    "a message that refers to what is not there ends the link",
    arguments: [
      Message(.release, body: [1, 2, 3]), Message(.release, body: [64, 0, 0, 0, 0, 0, 0, 0]),
    ])
  func wrongRelease(message: Message) async throws {
    let pair = try LinkPair()
    let inbox = Inbox()
    pair.here.start(inbox)
    pair.there.start(Inbox())
    pair.there.send(message)
    #expect(try await inbox.closed().code == .malformedMessage)
  }

  @Test("a link closed before it is started says so once, and sends nothing")
  func closedBeforeStart() async throws {
    let pair = try LinkPair()
    pair.here.close(RuntimeError(.stopped, "Never mind."))
    pair.here.close(RuntimeError(.workerLost, "Too late."))
    let inbox = Inbox()
    pair.here.start(inbox)
    pair.here.send(.sample(1, sizes: [100_000]))
    #expect(try await inbox.closed().message == "Never mind.")
    #expect(pair.here.lentSegmentCount == 0)
    #expect(pair.arena.usedByteCount == 0)
  }
}
