import ByzAuthentication
import ByzRuntime
import Testing

@Suite("Token authenticator")
struct TokenAuthenticatorTests {
  static let secret = Array("correct horse battery staple".utf8)
  let token: Token

  init() throws { token = try Token(Self.secret) }

  /// Carries the messages of a proof; returns all of them, and whether each side was satisfied.
  func converse(
    _ client: inout TokenAuthenticator, _ server: inout TokenAuthenticator
  ) throws -> (messages: [[UInt8]], clientIsDone: Bool, serverIsDone: Bool) {
    let hello = try unwrap(client.begin())
    let challenge = try server.receive(hello)
    let claim = try client.receive(unwrap(challenge.reply))
    let verdict = try server.receive(unwrap(claim.reply))
    let end = try client.receive(unwrap(verdict.reply))
    #expect(end.reply == nil)
    #expect(!challenge.isDone && !claim.isDone)
    let messages = try [hello, challenge.reply, claim.reply, verdict.reply].map { try unwrap($0) }
    return (messages, end.isDone, verdict.isDone)
  }

  func expectRefusal(
    by authenticator: inout TokenAuthenticator, of body: [UInt8],
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let error = #expect(throws: RuntimeError.self, sourceLocation: sourceLocation) {
      try authenticator.receive(body)
    }
    #expect(error?.code == .authenticationFailed, sourceLocation: sourceLocation)
  }

  @Test("satisfies both sides when both hold the token")
  func mutual() throws {
    var client = TokenAuthenticator(role: .client, token: token)
    var server = TokenAuthenticator(role: .server, token: token)
    let result = try converse(&client, &server)
    #expect(result.clientIsDone && result.serverIsDone)
  }

  @Test("is never satisfied on both sides by 20,000 proofs of which a message was damaged")
  func damaged() throws {
    var random = SystemRandomNumberGenerator()
    for round in 0..<20_000 {
      var client = TokenAuthenticator(role: .client, token: token)
      var server = TokenAuthenticator(role: .server, token: token)
      let victim = round % 4
      var (message, isDone) = (try unwrap(client.begin()), [false, false])
      do {
        for step in 0..<4 {
          if step == victim { message.damage(&random) }
          let answer =
            try step.isMultiple(of: 2) ? server.receive(message) : client.receive(message)
          if answer.isDone { isDone[step % 2] = true }
          message = answer.reply ?? []
        }
      } catch {
        #expect(error.code == .authenticationFailed)
      }
      #expect(isDone != [true, true])
    }
  }

  @Test("lets the client begin")
  func order() {
    var server = TokenAuthenticator(role: .server, token: token)
    #expect(server.begin() == nil)
  }

  @Test("never sends the token, nor the same message twice")
  func secrecy() throws {
    var all: Set<[UInt8]> = []
    for _ in 0..<10 {
      var client = TokenAuthenticator(role: .client, token: token)
      var server = TokenAuthenticator(role: .server, token: token)
      for message in try converse(&client, &server).messages {
        #expect(all.insert(message).inserted)
        let starts = message.indices.filter { message[$0...].starts(with: Self.secret.prefix(8)) }
        #expect(starts.isEmpty)
      }
    }
  }

  @Test("has the server refuse a client with another token before it proves anything itself")
  func wrongClient() throws {
    var client = TokenAuthenticator(role: .client, token: try Token("another sixteen bytes".utf8))
    var server = TokenAuthenticator(role: .server, token: token)
    let challenge = try server.receive(unwrap(client.begin()))
    let claim = try client.receive(unwrap(challenge.reply))
    expectRefusal(by: &server, of: try unwrap(claim.reply))
    // Nothing of the token went into what the server had said: a type and a nonce.
    #expect(challenge.reply?.count == 33)
  }

  @Test("has the client refuse a server that answers without the token")
  func wrongServer() throws {
    var client = TokenAuthenticator(role: .client, token: token)
    _ = client.begin()
    _ = try client.receive([2] + [UInt8](repeating: 7, count: 32))
    expectRefusal(by: &client, of: [4] + [UInt8](repeating: 0, count: 32))
  }

  @Test("refuses a recorded conversation played back to either side")
  func replay() throws {
    var client = TokenAuthenticator(role: .client, token: token)
    var server = TokenAuthenticator(role: .server, token: token)
    let recorded = try converse(&client, &server).messages

    var nextServer = TokenAuthenticator(role: .server, token: token)
    _ = try nextServer.receive(recorded[0])
    expectRefusal(by: &nextServer, of: recorded[2])

    var nextClient = TokenAuthenticator(role: .client, token: token)
    _ = nextClient.begin()
    _ = try nextClient.receive(recorded[1])
    expectRefusal(by: &nextClient, of: recorded[3])
  }

  @Test(
    "accepts a recorded conversation where nonces are repeated: they are what stops it"
  )
  func replayWithoutFreshness() throws {
    let nonce = [UInt8](repeating: 9, count: 32)
    var client = TokenAuthenticator(role: .client, token: token)
    var server = TokenAuthenticator(role: .server, token: token, nonce: nonce)
    let recorded = try converse(&client, &server).messages
    var repeating = TokenAuthenticator(role: .server, token: token, nonce: nonce)
    _ = try repeating.receive(recorded[0])
    let step = try repeating.receive(recorded[2])
    #expect(step.isDone)
  }

  @Test("refuses its own proof reflected back, even with its own nonce")
  func reflection() throws {
    var client = TokenAuthenticator(role: .client, token: token)
    let hello = try unwrap(client.begin())
    let claim = try client.receive([2] + hello[2...])
    var proof = try unwrap(claim.reply)
    proof[0] = 4
    expectRefusal(by: &client, of: proof)
  }

  @Test("refuses a client's proof from a client that the attacker led to itself")
  func relayOfAnotherRole() throws {
    // The attacker takes the server's nonce to a second server, hoping for a proof to bring back:
    // servers only prove last.
    var first = TokenAuthenticator(role: .server, token: token)
    let challenge = try unwrap(
      try first.receive([1, 1] + [UInt8](repeating: 1, count: 32)).reply)
    var second = TokenAuthenticator(role: .server, token: token)
    let other = try unwrap(second.receive([1, 1] + challenge[1...]).reply)
    expectRefusal(by: &first, of: [3] + other[1...])
  }

  @Test(
    "refuses every truncation and extension of every message",
    arguments: 0..<4)
  func lengths(step: Int) throws {
    var client = TokenAuthenticator(role: .client, token: token)
    var server = TokenAuthenticator(role: .server, token: token)
    var messages = [try unwrap(client.begin())]
    var listeners: [TokenAuthenticator] = []
    while messages.count < 5 {
      let clientListens = messages.count.isMultiple(of: 2)
      listeners.append(clientListens ? client : server)
      let reply =
        try clientListens ? client.receive(messages.last!) : server.receive(messages.last!)
      messages.append(reply.reply ?? [])
    }
    let message = messages[step]
    for count in 0..<message.count {
      var listener = listeners[step]
      expectRefusal(by: &listener, of: Array(message[..<count]))
    }
    for extra in [1, 1000, 1 << 20] {
      var listener = listeners[step]
      expectRefusal(by: &listener, of: message + [UInt8](repeating: 0, count: extra))
    }
    for bit in 0..<message.count * 8 where !(step < 2 && bit / 8 > (step == 0 ? 1 : 0)) {
      // All of a proof counts; of a nonce any value is as good as another, until the proof.
      var altered = message
      altered[bit / 8] ^= 1 << (bit % 8)
      var listener = listeners[step]
      expectRefusal(by: &listener, of: altered)
    }
  }

  @Test("refuses messages out of order, and everything after a failure or the end")
  func outOfOrder() throws {
    var client = TokenAuthenticator(role: .client, token: token)
    var server = TokenAuthenticator(role: .server, token: token)
    let messages = try converse(&client, &server).messages
    for message in messages {
      expectRefusal(by: &client, of: message)
      expectRefusal(by: &server, of: message)
    }
    #expect(client.begin() == nil)
    for message in messages[1...] {
      var fresh = TokenAuthenticator(role: .server, token: token)
      expectRefusal(by: &fresh, of: message)
      expectRefusal(by: &fresh, of: messages[0])
    }
    var silent = TokenAuthenticator(role: .client, token: token)
    expectRefusal(by: &silent, of: messages[1])
  }

  @Test("refuses another version and names both")
  func version() {
    var server = TokenAuthenticator(role: .server, token: token)
    let error = #expect(throws: RuntimeError.self) {
      try server.receive([1, 2] + [UInt8](repeating: 1, count: 32))
    }
    #expect(error?.message.contains("version 2, and this side by 1") == true)
  }
}

extension [UInt8] {
  /// Changes a bit, cuts something off, or puts something behind.
  fileprivate mutating func damage(_ random: inout SystemRandomNumberGenerator) {
    switch Int.random(in: 0..<4, using: &random) {
    case 0: removeLast(.random(in: 1...count, using: &random))
    case 1: append(.random(in: .min ... .max, using: &random))
    default:
      self[.random(in: 0..<count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    }
  }
}
