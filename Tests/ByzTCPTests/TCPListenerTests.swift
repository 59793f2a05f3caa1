import ByzAuthentication
import ByzRuntime
import ByzTCP
import ByzTensor
import Foundation
import Testing

@Suite("TCP listener", .timeLimit(.minutes(5)))
struct TCPListenerTests {
  let token: Token

  init() throws { token = try Token("0123456789abcdef".utf8) }

  /// No limits that a test on one machine would meet by accident.
  func generous(token: Token? = nil) -> TCPListenerOptions {
    var options = TCPListenerOptions(token: token)
    options.maxAcceptsPerSecondPerAddress = .max
    options.maxConnections = 100_000
    options.maxConnectionsPerAddress = 100_000
    return options
  }

  // MARK: - Where it listens

  @Test("refuses to let strangers in from other machines, and names the choices")
  func strangers() async throws {
    let openTLS = Certificates.tls("server", trusting: nil)
    for options in [
      TCPListenerOptions(), TCPListenerOptions(token: token), TCPListenerOptions(tls: openTLS),
    ] {
      for text in ["0.0.0.0:0", "[::]:0"] {
        let error = await #expect(throws: RuntimeError.self) {
          try await EchoHost.run(on: try TCPAddress(text), options) { _ in }
        }
        #expect(error?.code == .invalidConfiguration)
        for choice in ["certificates on both sides", "a token within TLS", "127.0.0.1", "insecure"]
        {
          #expect(error?.message.contains(choice) == true)
        }
      }
    }
  }

  @Test(
    "listens to other machines with certificates, a token within TLS, or when told that it may"
  )
  func otherMachines() async throws {
    var insecure = TCPListenerOptions()
    insecure.insecure = true
    for options in [
      TCPListenerOptions(tls: Certificates.tls("server")),
      TCPListenerOptions(tls: Certificates.tls("server", trusting: nil), token: token), insecure,
    ] {
      try await EchoHost.run(on: try TCPAddress("0.0.0.0:0"), options) { host in
        #expect(host.address.port > 0)
      }
    }
  }

  @Test("says that a port is taken")
  func takenPort() async throws {
    try await EchoHost.run { host in
      let error = await #expect(throws: RuntimeError.self) {
        try await EchoHost.run(on: host.address) { _ in }
      }
      #expect(error?.code == .transportUnavailable)
      #expect(error?.message.contains("\(host.address)") == true)
    }
  }

  // MARK: - How many

  @Test("closes connections beyond the limit at once, and takes others when some have gone")
  func maximum() async throws {
    for keyPath in [
      \TCPListenerOptions.maxConnections, \TCPListenerOptions.maxConnectionsPerAddress,
    ] {
      var options = generous()
      options[keyPath: keyPath] = 2
      try await EchoHost.run(options) { host in
        let first = try await host.connect()
        let second = try await host.connect()
        _ = try await first.echo([1])
        _ = try await second.echo([1])
        let surplus = try RawSocket(connectingTo: host.address)
        #expect(await surplus.isClosedByPeer())
        first.link.close(RuntimeError(.stopped, "Room for another."))
        _ = try await host.end()
        // Told just before the connection is counted out.
        var third = try await host.connect()
        while (try? await third.echo([3])) == nil { third = try await host.connect() }
        _ = try await second.echo([2])
      }
    }
  }

  @Test("closes every connection when its scope ends, and leaves no socket")
  func scope() async throws {
    var port = 0
    var clients: [Client] = []
    try await EchoHost.run { host in
      port = host.address.port
      for _ in 0..<10 {
        clients.append(try await host.connect())
        _ = try await clients.last?.echo([1])
      }
      #expect(RawSocket.count(onPort: port) == 21)
    }
    for client in clients { _ = try await client.inbox.closure() }
    #expect(RawSocket.count(onPort: port) == 0)
  }

  // MARK: - Strangers

  @Test("takes no tensor and no more than 64 KiB from who has not proved the token")
  func strangersLimits() async throws {
    try await EchoHost.run(generous(token: token)) { host in
      let large = Message(.authentication, body: [UInt8](repeating: 0, count: 64 << 10 + 1))
      for message in [large, Message(.authentication, segments: [.pattern(1)])] {
        let socket = try RawSocket(connectingTo: host.address)
        socket.send(Frame.head(of: message).prefix(48))
        #expect(await socket.isClosedByPeer())
        try await host.expectEnd(.malformedMessage)
      }
      let known = try await host.connect(TCPOptions(token: token))
      let echo = try await known.echo([UInt8](repeating: 5, count: 100_000), [.pattern(100_000)])
      #expect(echo.body.count == 100_000 && echo.segments[0].byteCount == 100_000)
    }
  }

  @Test("closes on a wrong token, a replayed proof, and a message before the proof")
  func wrongToken() async throws {
    try await EchoHost.run(generous(token: token)) { host in
      await #expect(throws: RuntimeError.self) {
        try await host.connect(TCPOptions(token: try Token("0123456789abcdeF".utf8)))
      }
      try await host.expectEnd(.authenticationFailed)

      // What an honest client says, recorded.
      let honest = Client(link: try await TCPBackend(host.address).openLink(named: "test"))
      var authenticator = TokenAuthenticator(role: .client, token: token)
      let hello = try unwrap(authenticator.begin())
      honest.link.send(Message(.authentication, body: hello))
      let proof = try unwrap(
        try authenticator.receive(try await honest.inbox.message().body).reply)
      honest.link.send(Message(.authentication, body: proof))
      _ = try await honest.inbox.message()
      let replay = try RawSocket(connectingTo: host.address)
      for body in [hello, proof] {
        replay.send(Frame.head(of: Message(.authentication, body: body)))
      }
      #expect(await replay.isClosedByPeer())
      try await host.expectEnd(.authenticationFailed)

      let eager = try RawSocket(connectingTo: host.address)
      eager.send(Frame.head(of: Message(.call, body: [1])))
      #expect(await eager.isClosedByPeer())
      try await host.expectEnd(.authenticationFailed)

      try await honest.expectEcho([9])
    }
  }

  @Test(
    "closes a connection that is silent, half a message or half a proof for too long",
    arguments: [false, true])
  func slowHandshake(encrypted: Bool) async throws {
    var options = generous(token: token)
    options.tls = encrypted ? Certificates.tls("server") : nil
    options.handshakeTimeout = .seconds(3)
    try await EchoHost.run(options) { host in
      let silent = try RawSocket(connectingTo: host.address)
      let slow = try RawSocket(connectingTo: host.address)
      // The beginning of a message, and of a TLS record.
      slow.send(encrypted ? [0x16, 0x03, 0x01] : Array("BYZK".utf8))
      let half = try RawSocket(connectingTo: host.address)
      if !encrypted {
        half.send(
          Frame.head(of: Message(.authentication, body: [1, 1] + [UInt8](repeating: 0, count: 32))))
      }
      for socket in [silent, slow, half] { #expect(await socket.isClosedByPeer()) }
      if !encrypted {
        for _ in 0..<3 { try await host.expectEnd(.deadlineExceeded) }
      }
    }
  }

  @Test("lets a connection be silent for as long as it likes once it is known")
  func silence() async throws {
    var options = generous(token: token)
    options.handshakeTimeout = .seconds(2)
    try await EchoHost.run(options) { host in
      let honest = try await host.connectInTime(TCPOptions(token: token))
      // Another connection's timeout shows that the time has passed.
      let silent = try RawSocket(connectingTo: host.address)
      #expect(await silent.isClosedByPeer())
      try await honest.expectEcho([1])
    }
  }

  // MARK: - Bad bytes

  @Test(
    "closes on garbage, other versions, and sizes beyond the limits, and goes on serving others")
  func garbage() async throws {
    try await EchoHost.run(generous()) { host in
      let honest = try await host.connect()
      var oversize = Frame.head(of: Message(.call))
      oversize.replaceSubrange(8..<12, with: [0xFF, 0xFF, 0xFF, 0xFF])
      var endless = Frame.head(of: Message(.call, segments: [.pattern(1)]))
      endless.replaceSubrange(32..<40, with: [UInt8](repeating: 0x7F, count: 8))
      var future = Frame.head(of: Message(.call))
      future[4] = 200
      var random = SystemRandomNumberGenerator()
      let noise = (0..<100_000).map { _ in UInt8.random(in: .min ... .max, using: &random) }
      for bytes in [Array("GET / HTTP/1.1\r\n\r\n".utf8), noise, oversize, endless, future] {
        let socket = try RawSocket(connectingTo: host.address)
        socket.send(bytes)
        #expect(await socket.isClosedByPeer())
        let code = try await host.end().code
        #expect(code == (bytes == future ? .incompatiblePeer : .malformedMessage))
        try await honest.expectEcho([4])
      }
    }
  }

  @Test("closes a message that has begun and does not come on fast enough")
  func neverEndingFrame() async throws {
    var options = generous()
    options.progressInterval = .milliseconds(200)
    options.minimumBytesPerSecond = 1000
    try await EchoHost.run(options) { host in
      let socket = try RawSocket(connectingTo: host.address)
      socket.send(Frame.head(of: Message(.ping)))
      socket.send(
        Frame.head(of: Message(.call, body: [UInt8](repeating: 1, count: 100_000))).dropLast())
      #expect(await socket.isClosedByPeer())
      let reason = try await host.end()
      #expect(reason.code == .deadlineExceeded)
      #expect(reason.message.contains("minimumBytesPerSecond"))
    }
  }
}
