package import ByzRuntime
import Crypto

/// Both ends of a link prove to each other that they hold the same token, without sending it.
///
/// ```
/// client → server   1 │ version │ nonce of the client          34 bytes
/// server → client   2 │ nonce of the server                    33 bytes
/// client → server   3 │ HMAC(token, "client" …)                33 bytes
/// server → client   4 │ HMAC(token, "server" …)                33 bytes
/// ```
///
/// Each proof is HMAC-SHA256 over the name of the protocol, the role of who proves, and messages 1
/// and 2 whole. A recorded proof is worth nothing because the other side's nonce is new each time;
/// a proof sent back to its maker is worth nothing because it names the other role. The client
/// proves first: who does not hold the token gets 32 random bytes from a server and no more.
///
/// It says who is at the other end when the proof is made, and does not protect what follows: off
/// one machine it needs TLS below.
package struct TokenAuthenticator: LinkAuthenticator {
  /// Which side this is.
  package enum Role: String, Hashable, Sendable {
    case client
    case server

    fileprivate var other: Role { self == .client ? .server : .client }
  }

  private enum State {
    /// The client has not begun, or the server has heard nothing.
    case idle
    /// The client waits for the server's nonce.
    case challenged(hello: [UInt8])
    /// This side waits for the other's proof.
    case expectingProof(transcript: [UInt8])
    /// Satisfied, or failed: nothing more may come.
    case over
  }

  private static let version: UInt8 = 1
  private static let nonceByteCount = 32

  private let role: Role
  private let token: Token
  private let nonce: [UInt8]
  private var state = State.idle

  /// One side of one proof, with a fresh nonce.
  package init(role: Role, token: Token) {
    var random = SystemRandomNumberGenerator()
    let nonce = (0..<Self.nonceByteCount).map { _ in UInt8.random(in: .min ... .max, using: &random)
    }
    self.init(role: role, token: token, nonce: nonce)
  }

  /// The same with a nonce that is not fresh, for tests.
  package init(role: Role, token: Token, nonce: [UInt8]) {
    precondition(nonce.count == Self.nonceByteCount)
    self.role = role
    self.token = token
    self.nonce = nonce
  }

  package mutating func begin() -> [UInt8]? {
    guard role == .client, case .idle = state else { return nil }
    let hello = [1, Self.version] + nonce
    state = .challenged(hello: hello)
    return hello
  }

  package mutating func receive(_ body: [UInt8]) throws(RuntimeError) -> LinkAuthenticationStep {
    let before = state
    state = .over  // unless all is well
    switch (role, before) {
    case (.server, .idle):
      try check(body, tag: 1, byteCount: 2 + Self.nonceByteCount)
      guard body[1] == Self.version else {
        throw failure("it proves a token by version \(body[1]), and this side by \(Self.version)")
      }
      let challenge = [2] + nonce
      state = .expectingProof(transcript: body + challenge)
      return LinkAuthenticationStep(reply: challenge, isDone: false)
    case (.client, .challenged(let hello)):
      try check(body, tag: 2, byteCount: 1 + Self.nonceByteCount)
      let transcript = hello + body
      state = .expectingProof(transcript: transcript)
      return LinkAuthenticationStep(
        reply: [3] + proof(of: .client, over: transcript), isDone: false)
    case (_, .expectingProof(let transcript)):
      try check(body, tag: role == .server ? 3 : 4, byteCount: 1 + SHA256.byteCount)
      // Compares in constant time.
      guard
        HMAC<SHA256>.isValidAuthenticationCode(
          body[1...].withUnsafeBytes(Array.init),
          authenticating: Self.statement(of: role.other, over: transcript), using: token.key)
      else {
        throw failure("it does not hold the same token: give both sides the same one")
      }
      let reply = role == .server ? [4] + proof(of: .server, over: transcript) : nil
      return LinkAuthenticationStep(reply: reply, isDone: true)
    default:
      throw failure("a message arrived that does not belong here")
    }
  }

  private func proof(of role: Role, over transcript: [UInt8]) -> [UInt8] {
    Array(
      HMAC<SHA256>.authenticationCode(
        for: Self.statement(of: role, over: transcript), using: token.key))
  }

  /// What a proof is made over. Every part has a fixed length but the role, and neither role is the
  /// beginning of the other.
  private static func statement(of role: Role, over transcript: [UInt8]) -> [UInt8] {
    Array("ByzKit token proof 1, \(role.rawValue):".utf8) + transcript
  }

  private func check(_ body: [UInt8], tag: UInt8, byteCount: Int) throws(RuntimeError) {
    guard body.first == tag, body.count == byteCount else {
      throw failure(
        """
        step \(tag) of \(byteCount) bytes was expected, and \(body.count) bytes came that begin with \
        \(body.first.map(String.init) ?? "nothing")
        """)
    }
  }

  private func failure(_ reason: String) -> RuntimeError {
    RuntimeError(
      .authenticationFailed, "The \(role.other.rawValue) could not prove who it is: \(reason).")
  }
}
