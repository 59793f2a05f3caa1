import ByzAuthentication
import ByzRuntime
import ByzTCP
import Testing

@Suite("TLS", .timeLimit(.minutes(2)))
struct TLSTests {
  static let mutual = TCPListenerOptions(tls: Certificates.tls("server"))

  func expectRefusal(
    by client: TLSOptions, of server: TLSOptions, saying text: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    try await EchoHost.run(TCPListenerOptions(tls: server)) { host in
      let error = await #expect(throws: RuntimeError.self, sourceLocation: sourceLocation) {
        try await host.connect(TCPOptions(tls: client))
      }
      #expect(error?.code == .authenticationFailed, sourceLocation: sourceLocation)
      #expect(
        error?.message.contains(text) == true, "\(String(describing: error))",
        sourceLocation: sourceLocation)
    }
  }

  @Test("has the client refuse a server whose root it does not trust")
  func wrongRoot() async throws {
    try await expectRefusal(
      by: Certificates.tls("client", trusting: "other-ca"), of: Certificates.tls("server"),
      saying: "trustRootsFile")
    try await expectRefusal(
      by: Certificates.tls("client"), of: Certificates.tls("other-server"), saying: "trustRootsFile"
    )
  }

  @Test("has the client refuse a server whose certificate has expired")
  func expiredServer() async throws {
    try await expectRefusal(
      by: Certificates.tls("client"), of: Certificates.tls("expired-server"), saying: "valid today")
  }

  @Test("has the client refuse a server that shows a client's certificate")
  func wrongUsage() async throws {
    try await expectRefusal(
      by: Certificates.tls("client"), of: Certificates.tls("client"), saying: "certificate")
  }

  @Test("has the client refuse a certificate for another name, and accept the name it was told")
  func names() async throws {
    let named = Certificates.tls("named-server")
    for name in ["elsewhere.test", nil] {
      try await expectRefusal(
        by: Certificates.tls("client", serverName: name), of: named, saying: "serverName")
    }
    try await EchoHost.run(TCPListenerOptions(tls: named)) { host in
      let client = try await host.connect(
        TCPOptions(tls: Certificates.tls("client", serverName: "worker.test")))
      try await client.expectEcho([1])
    }
  }

  @Test(
    "has the server refuse a client without a certificate of its roots that is valid today",
    arguments: [
      (nil, "wants a certificate"), ("other-client", "does not accept"),
      ("expired-client", "expired"),
    ])
  func wrongClient(certificate: String?, text: String) async throws {
    try await withTCPListener(
      options: Self.mutual,
      accept: { link, _ in
        Issue.record("A stranger was let in.")
        link.close(RuntimeError(.stopped, "No."))
      }
    ) { address in
      // By TLS 1.3 a client is done before the server has seen its certificate.
      let options = TCPOptions(tls: Certificates.tls(certificate))
      let client = Client(
        link: try await TCPBackend(address, options: options).openLink(named: "test"))
      let reason = try await client.inbox.closure()
      #expect(reason.code == .authenticationFailed)
      #expect(reason.message.contains(text), "\(reason)")
    }
  }

  @Test("has the server close a connection that speaks plainly")
  func plainClient() async throws {
    try await EchoHost.run(Self.mutual) { host in
      let client = try await host.connect()
      client.link.send(Message(.call, body: [UInt8](repeating: 0, count: 100)))
      _ = try await client.inbox.closure()
    }
  }

  @Test("tells a client that the server does not speak TLS")
  func plainServer() async throws {
    try await EchoHost.run { host in
      let error = await #expect(throws: RuntimeError.self) {
        try await host.connect(TCPOptions(tls: Certificates.tls("client")))
      }
      #expect(error?.message.contains("may not speak TLS") == true, "\(String(describing: error))")
      try await host.expectEnd(.malformedMessage)
    }
  }

  @Test("goes with a token inside, and then needs no certificate of the client")
  func tokenWithin() async throws {
    let token = try Token("0123456789abcdef".utf8)
    let options = TCPListenerOptions(tls: Certificates.tls("server", trusting: nil), token: token)
    try await EchoHost.run(options) { host in
      let client = try await host.connect(TCPOptions(tls: Certificates.tls(nil), token: token))
      try await client.expectEcho([7])
    }
  }

  @Test("refuses an address for a name")
  func addressForName() async throws {
    try await expectRefusal(
      by: Certificates.tls("client", serverName: "127.0.0.1"), of: Certificates.tls("server"),
      saying: "must be a name")
  }

  @Test("names the file that cannot be used")
  func files() async throws {
    var tls = Certificates.tls("server")
    tls.trustRootsFile = "/nowhere/roots.pem"
    await expectInvalid(TCPListenerOptions(tls: tls), "/nowhere/roots.pem")
    tls.privateKeyFile = Certificates.path("make")
    await expectInvalid(TCPListenerOptions(tls: tls), "make")
    tls.privateKeyFile = nil
    await expectInvalid(TCPListenerOptions(tls: tls), "only one of")
    await expectInvalid(TCPListenerOptions(tls: TLSOptions()), "needs a certificate")
  }

  func expectInvalid(_ options: TCPListenerOptions, _ text: String) async {
    let error = await #expect(throws: RuntimeError.self) {
      try await EchoHost.run(options) { _ in }
    }
    #expect(error?.code == .invalidConfiguration)
    #expect(error?.message.contains(text) == true)
  }
}
