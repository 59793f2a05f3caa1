import ByzRuntime
import ByzTCP
import ByzTensor
import Testing

@Suite("TCP link", .timeLimit(.minutes(2)))
struct TCPLinkTests {
  @Test("carries messages with tensors both ways, plain and encrypted", arguments: [false, true])
  func bothWays(encrypted: Bool) async throws {
    let server = encrypted ? Certificates.tls("server") : nil
    let client = encrypted ? Certificates.tls("client") : nil
    try await EchoHost.run(TCPListenerOptions(tls: server)) { host in
      let client = try await host.connect(TCPOptions(tls: client))
      for sizes in [[], [0], [1], [0, 70_000, 0, 3], [1_500_000], [300_000, 65_536, 65_535]] {
        let segments = sizes.map(Segment.pattern)
        let echo = try await client.echo([1, 2, 3], segments)
        #expect(echo.kind == .call && echo.call == 1 && echo.body == [1, 2, 3])
        #expect(echo.segments.map(\.bytes) == segments.map(\.bytes))
      }
    }
  }

  private struct Ended: Sendable {
    weak let link: (any Link)?
  }

  @Test("nothing keeps a link that has ended, on either side, nor what it had of a tensor")
  func nothingKept() async throws {
    let ended = Monitor<[Ended]>([])
    @Sendable func note(_ link: any Link) { ended.withLock { $0.append(Ended(link: link)) } }
    try await withTCPListener(
      accept: { link, _ in
        note(link)
        link.start(Inbox())
      },
      body: { address in
        for _ in 0..<3 {
          let client = Client(link: try await TCPBackend(address).openLink(named: "test"))
          note(client.link)
          client.link.send(Message(.call))
          client.link.close(RuntimeError(.stopped, "The test is over."))
          let socket = try RawSocket(connectingTo: address)
          socket.send(Frame.head(of: Message(.call, segments: [.pattern(1 << 20)])))
          socket.send([UInt8](repeating: 1, count: 1 << 19))
        }
        // Within the time limit of the suite.
        while ended.withLock({ $0.count < 9 || $0.contains { $0.link != nil } }) {
          try Task.checkCancellation()
          await Task.yield()
        }
      })
  }

  @Test("keeps the order of the messages of each thread")
  func order() async throws {
    try await EchoHost.run { host in
      let client = try await host.connect()
      await withTaskGroup(of: Void.self) { group in
        for thread in 0..<8 {
          group.addTask {
            for number in 0..<200 {
              client.link.send(
                Message(
                  .call, epoch: UInt32(thread), call: UInt64(number), segments: [.pattern(number)]))
            }
          }
        }
      }
      var next = [UInt64](repeating: 0, count: 8)
      for _ in 0..<8 * 200 {
        let message = try await client.inbox.message()
        #expect(message.call == next[Int(message.epoch)])
        #expect(message.segments[0].byteCount == Int(message.call))
        next[Int(message.epoch)] += 1
      }
    }
  }

  @Test("reads a tensor when it is sent, not later than the tensor changes")
  func copyOnWrite() async throws {
    try await EchoHost.run { host in
      let client = try await host.connect()
      var tensor = Tensor<Float>((0..<100_000).map(Float.init))
      let before = tensor
      client.link.send(Message(.call, segments: [tensor.segment]))
      tensor.withUnsafeMutableBufferPointer { $0.update(repeating: -1) }
      let echo = try await client.inbox.message()
      #expect(try Tensor<Float>(shape: [100_000], segment: echo.segments[0]) == before)
    }
  }

  @Test("lets senders wait while much is queued; cancellation and the end of the link wake them")
  func backPressure() async throws {
    let (accepted, continuation) = AsyncStream.makeStream(of: (any Link).self)
    try await withTCPListener(accept: { link, _ in continuation.yield(link) }) { address in
      let client = Client(link: try await TCPBackend(address).openLink(named: "test"))
      // Nobody reads at the other end: more than the sockets' buffers and the high-water mark take.
      let segment = Segment.pattern(1 << 20)
      let count = 40
      try await client.link.waitUntilWritable()
      #expect(!client.link.isFull)
      for call in 0..<count {
        client.link.send(Message(.call, call: UInt64(call), segments: [segment]))
      }
      #expect(client.link.isFull)
      let waiting = Task { try await client.link.waitUntilWritable() }
      waiting.cancel()
      await #expect(throws: CancellationError.self) { try await waiting.value }

      // Now somebody reads.
      let server = try #require(await first(accepted))
      let inbox = Inbox()
      let drained = Task { try await client.link.waitUntilWritable() }
      server.start(inbox)
      try await drained.value
      #expect(!client.link.isFull)
      for call in 0..<count {
        let message = try await inbox.message()
        #expect(message.call == UInt64(call) && message.segments[0].byteCount == 1 << 20)
      }
      client.link.close(RuntimeError(.stopped, "Done."))
      let error = await #expect(throws: RuntimeError.self) {
        try await client.link.waitUntilWritable()
      }
      #expect(error?.code == .workerLost)
      #expect((error?.cause as? RuntimeError)?.code == .stopped)
    }
  }

  @Test("wakes a sender that waits when the link is closed")
  func closingWakes() async throws {
    try await withTCPListener(accept: { _, _ in }) { address in
      let client = Client(link: try await TCPBackend(address).openLink(named: "test"))
      let segment = Segment.pattern(1 << 20)
      for _ in 0..<40 { client.link.send(Message(.call, segments: [segment])) }
      let waiting = Task { try await client.link.waitUntilWritable() }
      client.link.close(RuntimeError(.stopped, "Done."))
      await #expect(throws: RuntimeError.self) { try await waiting.value }
    }
  }

  @Test("tells both sides once when one closes, naming the peer")
  func closing() async throws {
    try await EchoHost.run { host in
      let client = try await host.connect()
      _ = try await client.echo([1])
      #expect(client.link.peerName == "tcp://\(host.address)")
      client.link.close(RuntimeError(.stopped, "Enough."))
      client.link.close(RuntimeError(.stopped, "Again."))
      client.link.send(Message(.call))
      let reason = try await client.inbox.closure()
      #expect(reason.message == "Enough.")
      let other = try await host.end()
      #expect(other.code == .workerLost)
      #expect(other.message.contains("tcp://127.0.0.1:") && other.message.contains("closed"))

      // What comes next is of another link: nothing more of the first.
      let second = try await host.connect()
      second.link.close(RuntimeError(.stopped, "Second."))
      _ = try await host.end()
    }
  }

  @Test("says that the peer left in the middle of a message")
  func truncated() async throws {
    try await EchoHost.run { host in
      do {
        let socket = try RawSocket(connectingTo: host.address)
        socket.send(Frame.head(of: Message(.call, body: [1, 2, 3])).dropLast())
      }
      let reason = try await host.end()
      #expect(reason.message.contains("in the middle of a message"))
    }
  }

  @Test("says that the connection was reset")
  func reset() async throws {
    try await EchoHost.run { host in
      do {
        let socket = try RawSocket(connectingTo: host.address)
        socket.resetAtEnd()
        let ping = Frame.head(of: Message(.ping))
        socket.send(ping)
        #expect(socket.receive(ping.count) == ping)
      }
      let reason = try await host.end()
      #expect(reason.code == .workerLost && reason.message.contains("tcp://127.0.0.1:"))
    }
  }

  @Test("tells a receiver that comes after the end")
  func startAfterEnd() async throws {
    try await EchoHost.run { host in
      let link = try await TCPBackend(host.address).openLink(named: "test")
      link.close(RuntimeError(.stopped, "Early."))
      let inbox = Inbox()
      link.start(inbox)
      let reason = try await inbox.closure()
      #expect(reason.message == "Early.")
    }
  }

  @Test("delivers nothing after it was closed from within a delivery")
  func closeWithin() async throws {
    final class Once: LinkReceiver {
      let link: any Link
      let inbox = Inbox()
      init(_ link: any Link) { self.link = link }
      func receive(_ message: Message) {
        inbox.receive(message)
        link.close(RuntimeError(.stopped, "One is enough."))
      }
      func linkClosed(_ reason: RuntimeError) { inbox.linkClosed(reason) }
    }
    try await EchoHost.run { host in
      let link = try await TCPBackend(host.address).openLink(named: "test")
      let once = Once(link)
      link.start(once)
      for call in 0..<100 { link.send(Message(.call, call: UInt64(call))) }
      let message = try await once.inbox.message()
      #expect(message.call == 0)
      guard case .closed(let reason)? = await once.inbox.next() else {
        return #expect(Bool(false), "Another message was delivered.")
      }
      #expect(reason.message == "One is enough.")
    }
  }

  @Test("the last message arrives whole although the other side has sent what nobody reads")
  func lastMessage() async throws {
    /// Answers the first message and ends the connection behind the answer.
    final class Farewell: LinkReceiver {
      static let answer = [UInt8](repeating: 7, count: 4 << 20)
      let link: any Link
      let hasAnswered = Monitor(false)
      init(_ link: any Link) { self.link = link }
      func receive(_ message: Message) {
        let isFirst = hasAnswered.withLock { hasAnswered in
          defer { hasAnswered = true }
          return !hasAnswered
        }
        guard isFirst else { return }
        link.send(Message(.reply, body: Self.answer))
        link.closeWhenSent(RuntimeError(.stopped, "That was all."))
      }
      func linkClosed(_ reason: RuntimeError) {}
    }
    try await withTCPListener(
      on: .loopback, options: TCPListenerOptions(),
      accept: { link, _ in link.start(Farewell(link)) },
      body: { address in
        for _ in 0..<10 {
          let socket = try RawSocket(connectingTo: address)
          let ping = Frame.head(of: Message(.ping))
          let answer = Frame.head(of: Message(.reply, body: Farewell.answer))
          #expect(socket.send(ping))
          // The answer is on its way, and the connection about to end.
          #expect(socket.receive(100) == Array(answer.prefix(100)))
          for _ in 0..<100 where socket.send(ping) {}
          #expect(socket.receive(answer.count - 100) == Array(answer.dropFirst(100)))
        }
      })
  }

  private func first(_ stream: AsyncStream<any Link>) async -> (any Link)? {
    for await link in stream { return link }
    return nil
  }
}
