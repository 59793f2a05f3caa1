import ByzRuntime
import ByzTensor
import ByzUCX
import Testing

extension UCXTests {
  @Suite("A link")
  struct UCXLinkTests {
    /// Over shared memory and, with failures reported by the transport, over TCP.
    static let ways: [UCXOptions] = [
      UCXOptions(),
      {
        var options = UCXOptions()
        options.transports = "tcp"
        options.sharedMemory = false
        return options
      }(),
    ]

    @Test("carries a message there and back whole", arguments: ways)
    func echo(_ options: UCXOptions) async throws {
      try await withEcho(options: options) { link, inbox in
        let sent = Message(
          .call, epoch: 7, call: 42, timeLeft: .milliseconds(5), body: [1, 2, 3],
          segments: [segment(byteCount: 100)])
        link.send(sent)
        let received = try await inbox.message()
        #expect(received.kind == .call && received.epoch == 7 && received.call == 42)
        #expect(received.timeLeft == .milliseconds(5) && received.body == [1, 2, 3])
        #expect(received.segments.map(\.bytes) == sent.segments.map(\.bytes))
      }
    }

    @Test("keeps nobody who starts it when it has ended")
    func keepsNobody() async throws {
      struct Kept: Sendable { weak let inbox: Inbox? }
      try await withLinks { client, _ in
        let inbox = Inbox()
        client.start(inbox)
        client.close(RuntimeError(.stopped, "The test is over."))
        _ = await inbox.closed()
        func startLate() async -> Kept {
          let late = Inbox()
          client.start(late)
          #expect(await late.closed()?.code == .stopped)
          return Kept(inbox: late)
        }
        let kept = await startLate()
        // The link may still be telling the first of its end.
        while kept.inbox != nil {
          try Task.checkCancellation()
          await Task.yield()
        }
      }
    }

    @Test(
      "carries a first message of any size, whichever side speaks first", arguments: ways,
      [100, 101, 533, 8 << 10, 100_000])
    func first(_ options: UCXOptions, byteCount: Int) async throws {
      let body = segment(byteCount: byteCount).bytes
      for _ in 0..<20 {
        let (near, far) = (Inbox(), Inbox())
        // At once, as hellos are: the listener's while the client still connects.
        let accept: @Sendable (UCXLink) -> Void = { server in
          server.send(Message(.hello, body: body))
          server.start(far)
        }
        try await withUCXListener(on: "127.0.0.1:0", options: options, accept: accept) {
          let client = try await UCXLink.connect(to: $0.address, options: options)
          client.send(Message(.hello, body: body))
          client.start(near)
          #expect(try await near.message().body == body)
          #expect(try await far.message().body == body)
          client.close(RuntimeError(.stopped, "The test is over."))
          await client.waitUntilGone()
        }
      }
    }

    @Test("carries tensors and bodies of any size, none included", arguments: ways)
    func sizes(_ options: UCXOptions) async throws {
      try await withEcho(options: options) { link, inbox in
        let sizes = [0, 1, 8 << 10, 8 << 10 + 1, 100_000, 0, 4 << 20]
        let segments = sizes.enumerated().map { segment(byteCount: $1, seed: $0) }
        for body in [[], [UInt8](repeating: 9, count: 100_000)] {
          link.send(Message(.call, body: body, segments: segments))
          for segment in segments { link.send(Message(.call, segments: [segment])) }
          let together = try await inbox.message()
          #expect(together.body == body)
          #expect(together.segments.map(\.byteCount) == sizes)
          for (received, sent) in zip(together.segments, segments) {
            #expect(received.bytes == sent.bytes)
          }
          for sent in segments {
            let alone = try await inbox.message()
            #expect(alone.segments.count == 1 && alone.segments[0].bytes == sent.bytes)
          }
        }
      }
    }

    @Test("keeps the order of messages, small and large", arguments: ways)
    func order(_ options: UCXOptions) async throws {
      try await withEcho(options: options) { link, inbox in
        let large = segment(byteCount: 100_000)
        for i in 0..<2000 {
          link.send(Message(.call, call: UInt64(i), segments: i % 40 == 7 ? [large] : []))
        }
        for i in 0..<2000 {
          let call = try await inbox.message().call
          #expect(call == UInt64(i))
        }
      }
    }

    @Test("serves 32 senders at once, each of which waits while much is queued")
    func manySenders() async throws {
      try await withEcho { link, inbox in
        try await withThrowingTaskGroup(of: Void.self) { group in
          for sender in 0..<32 {
            group.addTask {
              for i in 0..<10 {
                try await link.waitUntilWritable()
                link.send(
                  Message(
                    .call, epoch: UInt32(sender), call: UInt64(i),
                    segments: [segment(byteCount: 100_000 * (i % 3), seed: sender)]))
              }
            }
          }
          var next = [UInt64](repeating: 0, count: 32)
          for _ in 0..<320 {
            let message = try await inbox.message()
            #expect(message.call == next[Int(message.epoch)])
            next[Int(message.epoch)] += 1
          }
          try await group.waitForAll()
        }
      }
    }

    @Test("keeps what arrives before the receiver is there")
    func lateStart() async throws {
      try await withLinks { client, server in
        let (first, second) = (Inbox(), Inbox())
        client.start(first)
        for i in 0..<10 { client.send(Message(.ping, call: UInt64(i))) }
        server.start(second)
        for i in 0..<10 {
          let call = try await second.message().call
          #expect(call == UInt64(i))
        }
      }
    }

    @Test("tells both sides once when either closes", arguments: ways, [true, false])
    func closing(_ options: UCXOptions, byClient: Bool) async throws {
      try await withLinks(options: options) { client, server in
        let (near, far) = (Inbox(), Inbox())
        client.start(near)
        server.start(far)
        client.send(Message(.ping))
        _ = try await far.message()
        let (closer, other) = byClient ? (client, server) : (server, client)
        closer.close(RuntimeError(.stopped, "Enough."))
        closer.close(RuntimeError(.stopped, "Enough and more."))
        let reasons = (await near.closed(), await far.closed())
        #expect((byClient ? reasons.0 : reasons.1)?.message == "Enough.")
        #expect((byClient ? reasons.1 : reasons.0)?.code == .workerLost)
        await other.waitUntilGone()
        // Too late, and without effect.
        other.send(Message(.ping))
        let error = await #expect(throws: RuntimeError.self) { try await other.waitUntilWritable() }
        #expect(error?.code == .workerLost)
        let late = Inbox()
        other.start(late)
        #expect(await late.closed() != nil)
      }
    }

    @Test("closes while large tensors are on their way", arguments: ways)
    func closingInFlight(_ options: UCXOptions) async throws {
      // Each closes at another moment of its tensors' way.
      for _ in 0..<10 {
        try await withLinks(options: options) { client, server in
          let (near, far) = (Inbox(), Inbox())
          client.start(near)
          server.start(far)
          for _ in 0..<8 { client.send(Message(.call, segments: [segment(byteCount: 1 << 20)])) }
          client.close(RuntimeError(.stopped, "Enough."))
          #expect(await near.closed() != nil)
          // Whatever arrives before the end is whole.
          let expected = segment(byteCount: 1 << 20).bytes
          while case .message(let message)? = await far.next() {
            #expect(message.segments[0].bytes == expected)
          }
        }
      }
    }

    @Test("closes when sent: tensors that were queued before arrive whole", arguments: ways)
    func closingWhenSent(_ options: UCXOptions) async throws {
      try await withLinks(options: options) { client, server in
        let far = Inbox()
        client.start(Inbox())
        for number in 0..<4 {
          client.send(Message(.reply, segments: [segment(byteCount: 3 << 20, seed: number)]))
        }
        client.send(Message(.reply, body: [1]))
        client.closeWhenSent(RuntimeError(.stopped, "That was all."))
        client.send(Message(.reply, body: [2]))
        server.start(far)
        for number in 0..<4 {
          let expected = segment(byteCount: 3 << 20, seed: number).bytes
          let isWhole = try await far.message().segments[0].bytes == expected
          #expect(isWhole)
        }
        #expect(try await far.message().body == [1])
        #expect(await far.closed() != nil)
      }
    }

    @Test("takes no tensor, and little else, from who has not proved the token")
    func stranger() async throws {
      let token = try Token(Array(repeating: 7, count: 32))
      for (message, isKnown) in [
        (Message(.hello, segments: [segment(byteCount: 1 << 10)]), false),
        (Message(.hello, body: [UInt8](repeating: 0, count: 65 << 10)), false),
        (Message(.hello, segments: [segment(byteCount: 1 << 20)]), true),
      ] {
        try await withLinks(listener: UCXOptions(token: token)) {
          (client, server) async throws -> Void in
          let far = Inbox()
          client.start(Inbox())
          if isKnown { server.authenticated() }
          server.start(far)
          if isKnown {
            // Once this has arrived, the link knows who it is.
            client.send(Message(.ping))
            _ = try await far.message()
          }
          client.send(message)
          if isKnown {
            #expect(try await far.message().segments.count == 1)
          } else {
            #expect(await far.closed()?.code == .malformedMessage)
          }
        }
      }
    }

    @Test("releases waiting senders when it closes, and when they are cancelled")
    func waiting() async throws {
      try await withLinks { client, server in
        client.start(Inbox())
        #expect(!client.isFull)
        // The other side is not started, so that nothing is taken.
        for _ in 0..<4 { client.send(Message(.call, segments: [segment(byteCount: 20 << 20)])) }
        #expect(client.isFull)
        let cancelled = Task { try await client.waitUntilWritable() }
        let waiting = Task { try await client.waitUntilWritable() }
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        client.close(RuntimeError(.stopped, "Enough."))
        let error = await #expect(throws: RuntimeError.self) { try await waiting.value }
        #expect(error?.code == .workerLost)
      }
    }

    @Test("is closed by a message that exceeds the other side's limits")
    func oversize() async throws {
      var small = UCXOptions()
      small.limits.message = 1 << 20
      try await withLinks(listener: small) { client, server in
        let (near, far) = (Inbox(), Inbox())
        client.start(near)
        server.start(far)
        client.send(Message(.call, segments: [segment(byteCount: 2 << 20)]))
        #expect(await far.closed()?.code == .malformedMessage)
        #expect(await near.closed()?.code == .workerLost)
      }
    }
  }
}
