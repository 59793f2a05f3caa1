import ByzAuthentication
import ByzRuntime
import Foundation
import Testing

@Suite("Token")
struct TokenTests {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)

  func withFile<R>(_ text: String, mode: Int, _ body: (String) throws -> R) throws -> R {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appendingPathComponent("token").path
    #expect(
      FileManager.default.createFile(
        atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: mode]))
    return try body(path)
  }

  /// Whether two tokens are the same, by the only means there is.
  func agree(_ one: Token, _ other: Token) throws -> Bool {
    var client = TokenAuthenticator(role: .client, token: one)
    var server = TokenAuthenticator(role: .server, token: other)
    let challenge = try server.receive(unwrap(client.begin()))
    let claim = try client.receive(unwrap(challenge.reply))
    return (try? server.receive(unwrap(claim.reply)))?.isDone == true
  }

  @Test("is what is in the file, without the line feed at its end")
  func file() throws {
    try withFile("0123456789abcdef0123\n", mode: 0o600) { path in
      let token = try Token(contentsOfFile: path)
      let (same, other) = try (
        Token("0123456789abcdef0123".utf8), Token("0123456789abcdef0124".utf8)
      )
      #expect(try agree(token, same))
      #expect(try !agree(token, other))
    }
  }

  @Test("refuses a file that others may use", arguments: [0o644, 0o640, 0o604, 0o620, 0o601])
  func mode(mode: Int) throws {
    try withFile("0123456789abcdef", mode: mode) { path in
      let error = #expect(throws: RuntimeError.self) { try Token(contentsOfFile: path) }
      #expect(error?.code == .invalidConfiguration)
      #expect(error?.message.contains("chmod 600 \(path)") == true)
    }
  }

  @Test("refuses a file that is not there, and one that is no file")
  func noFile() {
    #expect(throws: RuntimeError.self) { try Token(contentsOfFile: "/nowhere/at/all") }
    #expect(throws: RuntimeError.self) { try Token(contentsOfFile: "/") }
    #expect(throws: RuntimeError.self) { try Token(contentsOfFile: "/dev/zero") }
  }

  @Test("has 16 to 4096 bytes, white space around them not counted", arguments: [0, 15, 4097])
  func length(count: Int) throws {
    let text = String(repeating: "x", count: count)
    #expect(throws: RuntimeError.self) { try Token(text.utf8) }
    try withFile("  \(text)\n", mode: 0o600) { path in
      let error = #expect(throws: RuntimeError.self) { try Token(contentsOfFile: path) }
      #expect(error?.message.contains("16 to 4096") == true)
    }
  }

  @Test("takes 16 and 4096 bytes", arguments: [16, 4096])
  func bounds(count: Int) throws {
    let text = String(repeating: "x", count: count)
    try withFile(text, mode: 0o400) { path in
      let isSame = try agree(Token(contentsOfFile: path), Token(text.utf8))
      #expect(isSame)
    }
  }

  @Test("comes from the environment if it is there")
  func environment() throws {
    let name = "BYZKIT_TOKEN_OF_A_TEST"
    let none = try Token.inEnvironment(name)
    #expect(none == nil)
    setenv(name, "0123456789abcdef\n", 1)
    defer { unsetenv(name) }
    let isSame = try agree(unwrap(Token.inEnvironment(name)), Token("0123456789abcdef".utf8))
    #expect(isSame)
    // No text in any encoding: each byte counts, as in a file.
    var raw = [CChar](repeating: -128, count: 16) + [0]
    setenv(name, raw, 1)
    let bytes = [UInt8](repeating: 0x80, count: 16)
    let isTheSame = try agree(unwrap(Token.inEnvironment(name)), Token(bytes))
    #expect(isTheSame)
    raw[0] = -112
    setenv(name, raw, 1)
    let isAnother = try !agree(unwrap(Token.inEnvironment(name)), Token(bytes))
    #expect(isAnother)
    setenv(name, "short", 1)
    let error = #expect(throws: RuntimeError.self) { try Token.inEnvironment(name) }
    #expect(error?.message.contains(name) == true)
  }

  @Test("shows nothing of itself, however it is printed")
  func redaction() throws {
    let token = try Token("0123456789abcdef".utf8)
    var dumped = ""
    dump(token, to: &dumped)
    for text in [
      "\(token)", String(reflecting: token), dumped, "\([token])", "\(Optional(token) as Any)",
    ] {
      #expect(text.contains("16 bytes") && !text.contains("0123") && !text.contains("48"))
    }
  }
}
