import ByzAuthentication
import ByzRuntime
import ByzUCX
import Testing

#if canImport(Glibc)
  import Glibc
#endif

extension UCXTests {
  @Suite("A listener")
  struct UCXListenerTests {
    @Test("outlives peers that send nonsense, and tells whose link it was")
    func nonsense() async throws {
      let parts: [(UInt64, UInt32, UInt32, Int)] = [
        (0, 5, 5, 10), (0, 0, 1 << 31, 10), (UInt64.max, 3, 2, 0), (0, 0, 1, 5000), (0, 0, 1, 0),
        (1, 0, 0, 8),
      ]
      for (frame, index, count, byteCount) in parts {
        let (accepted, continuation) = AsyncStream<UCXLink>.makeStream()
        try await withUCXListener(on: "127.0.0.1:0", accept: { continuation.yield($0) }) {
          listener in
          let isOver = Monitor(false)
          let port = listener.port
          let peer = Task.detached {
            let peer = try RawPeer(port: port)
            peer.send(frame: frame, index: index, count: count, byteCount: byteCount)
            peer.work(until: { isOver.withLock { $0 } })
          }
          var links = accepted.makeAsyncIterator()
          let hostile = try #require(await links.next())
          let inbox = Inbox()
          hostile.start(inbox)
          #expect(await inbox.closed()?.code == .malformedMessage)
          isOver.withLock { $0 = true }
          try await peer.value

          let honest = try await UCXLink.connect(to: listener.address, options: UCXOptions())
          let server = try #require(await links.next())
          server.start(Echo(server))
          let replies = Inbox()
          honest.start(replies)
          honest.send(Message(.ping, call: 3))
          let call = try await replies.message().call
          #expect(call == 3)
          honest.close(RuntimeError(.stopped, "The test is over."))
          await honest.waitUntilGone()
        }
      }
    }

    @Test("tells when the other side is gone without a word")
    func gone() async throws {
      let (accepted, continuation) = AsyncStream<UCXLink>.makeStream()
      try await withUCXListener(on: "127.0.0.1:0", accept: { continuation.yield($0) }) { listener in
        let isConnected = Monitor(false)
        let port = listener.port
        let peer = Task.detached {
          let peer = try RawPeer(port: port)
          peer.work(until: { isConnected.withLock { $0 } })
          peer.vanish()
        }
        var links = accepted.makeAsyncIterator()
        let link = try #require(await links.next())
        let inbox = Inbox()
        link.start(inbox)
        isConnected.withLock { $0 = true }
        #expect(await inbox.closed()?.code == .workerLost)
        try await peer.value
      }
    }

    @Test(
      "refuses more connections than it is told to keep, in all and of one address",
      arguments: [false, true])
    func full(ofOneAddress: Bool) async throws {
      var options = UCXOptions()
      if ofOneAddress {
        options.maximumConnectionsPerAddress = 1
      } else {
        options.maximumConnections = 1
      }
      try await withUCXListener(on: "127.0.0.1:0", options: options, accept: { $0.start(Inbox()) })
      {
        listener in
        let first = try await UCXLink.connect(to: listener.address, options: options)
        let error = await #expect(throws: RuntimeError.self) {
          try await UCXLink.connect(to: listener.address, options: options)
        }
        #expect(error?.code == .workerStartFailed)
        first.close(RuntimeError(.stopped, "The test is over."))
        await first.waitUntilGone()
      }
    }

    @Test("lets in so many of one address in a second")
    func rate() async throws {
      var options = UCXOptions()
      options.maximumAcceptsPerSecondPerAddress = 1
      try await withUCXListener(on: "127.0.0.1:0", options: options, accept: { $0.start(Inbox()) })
      {
        listener in
        // Soon two come in one and the same second.
        var refusal: RuntimeError?
        var admitted = 0
        for _ in 0..<100 where refusal == nil {
          do {
            let link = try await UCXLink.connect(to: listener.address, options: options)
            link.close(RuntimeError(.stopped, "It was let in."))
            await link.waitUntilGone()
            admitted += 1
          } catch let error as RuntimeError {
            refusal = error
          }
        }
        #expect(refusal?.code == .workerStartFailed && admitted > 0)
      }
    }

    @Test("demands a token and a trusted fabric off loopback addresses")
    func offLoopback() async throws {
      let token = try Token(Array(repeating: 7, count: 32))
      for options in [
        UCXOptions(), UCXOptions(token: token), UCXOptions(token: nil, trustedFabric: true),
      ] {
        let error = await #expect(throws: RuntimeError.self) {
          try await withUCXListener(on: "0.0.0.0:0", options: options, accept: { _ in }) { _ in }
        }
        #expect(error?.code == .invalidConfiguration)
        let refused = await #expect(throws: RuntimeError.self) {
          try await UCXLink.connect(to: "192.0.2.1:9", options: options)
        }
        #expect(refused?.code == .invalidConfiguration)
      }
      try await withUCXListener(
        on: "0.0.0.0:0", options: UCXOptions(token: token, trustedFabric: true), accept: { _ in }
      ) { listener in #expect(listener.port > 0) }
    }

    @Test("says what is wrong when there is no listener, no such host, or no answer")
    func unreachable() async throws {
      var port = 0
      try await withUCXListener(on: "127.0.0.1:0", accept: { _ in }) { port = $0.port }
      let nobody = await #expect(throws: RuntimeError.self) {
        try await UCXLink.connect(to: "127.0.0.1:\(port)", options: UCXOptions())
      }
      #expect(nobody?.code == .workerStartFailed)
      for name in [
        "no-port", "host:name", "[::1]", "there.is.no.such.host.invalid:9", "[::1]:9", "[::]:9",
      ] {
        let error = await #expect(throws: RuntimeError.self) {
          try await UCXLink.connect(to: name, options: UCXOptions())
        }
        #expect(error?.code == .transportUnavailable, "\(name)")
      }
      #if canImport(Glibc)
        try await withSilentServer { port in
          var hurried = UCXOptions()
          hurried.connectTimeout = .milliseconds(100)
          let silent = await #expect(throws: RuntimeError.self) {
            try await UCXLink.connect(to: "127.0.0.1:\(port)", options: hurried)
          }
          #expect(silent?.code == .workerStartFailed)
          let cancelled = Task {
            try await UCXLink.connect(to: "127.0.0.1:\(port)", options: UCXOptions())
          }
          cancelled.cancel()
          await #expect(throws: CancellationError.self) { try await cancelled.value }
        }
      #endif
    }

    @Test("leaves no descriptor behind")
    func nothingLeft() async throws {
      #if os(Linux)
        func cycle() async throws {
          try await withEcho { link, inbox in
            link.send(Message(.ping, segments: [segment(byteCount: 100_000)]))
            _ = try await inbox.message()
          }
        }
        try await cycle()
        let before = try entries(of: "/proc/self/fd")
        for _ in 0..<20 { try await cycle() }
        // They are closed by threads that end a moment after what they did is over.
        let deadline = ContinuousClock.now + .seconds(60)
        while try entries(of: "/proc/self/fd") > before, ContinuousClock.now < deadline {
          await Task.yield()
        }
        let after = try entries(of: "/proc/self/fd")
        #expect(after <= before)
      #endif
    }

    #if canImport(Glibc)
      /// The number of entries of a directory.
      private func entries(of path: String) throws -> Int {
        let directory = try #require(opendir(path))
        defer { closedir(directory) }
        var count = 0
        while readdir(directory) != nil { count += 1 }
        return count
      }

      /// A socket that accepts connections in the kernel's queue and never says anything.
      private func withSilentServer(_ body: (Int) async throws -> Void) async throws {
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(server) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            _ = bind(server, $0, length)
            _ = getsockname(server, $0, &length)
          }
        }
        _ = listen(server, 8)
        try await body(Int(UInt16(bigEndian: address.sin_port)))
      }
    #endif
  }
}

@Suite("UCX, where it is not")
struct UCXAbsenceTests {
  @Test("says which package is missing", .enabled(if: !UCX.isAvailable, "UCX is installed"))
  func absent() async throws {
    let error = await #expect(throws: RuntimeError.self) {
      try await UCXBackend("127.0.0.1:9").openLink(named: "worker")
    }
    #expect(error?.code == .transportUnavailable)
    #expect(error?.message.contains("libucx0") == true)
  }
}
