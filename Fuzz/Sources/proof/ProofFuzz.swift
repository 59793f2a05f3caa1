import ByzAuthentication
import ByzRuntime
import FuzzSupport

private let tokens: [Token] = ["the token of both", "another one, as long"].map { text in
  guard let token = try? Token(text.utf8) else { fatalError("A token was refused.") }
  return token
}

/// Reads the input as what is done to the messages of a proof on their way: its first byte says whether both sides hold one token,
/// and whether they talk to each other or each to itself.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzProof(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var input = Bytes(UnsafeRawBufferPointer(start: start, count: count))
  let how = input.next()
  let holdsToken = how & 1 == 0
  switch how >> 1 & 3 {
  case 0, 1: exchange(&input, holdsToken: holdsToken)
  case 2: reflect(&input, .server)
  default: reflect(&input, .client)
  }
  return 0
}

private func made(_ role: TokenAuthenticator.Role, _ token: Token) -> TokenAuthenticator {
  TokenAuthenticator(
    role: role, token: token, nonce: [UInt8](repeating: role == .client ? 1 : 2, count: 32))
}

/// A proof between two, each message of which is changed as the input says.
private func exchange(_ input: inout Bytes, holdsToken: Bool) {
  var client = made(.client, tokens[0])
  var server = made(.server, tokens[holdsToken ? 0 : 1])
  var isUnchanged = true
  var isClientDone = false
  var isServerDone = false
  var next = client.begin()
  var isForServer = true
  while let message = next {
    let changed = change(message, &input)
    isUnchanged = isUnchanged && changed == message
    let read = bounded("the reader of proofs") {
      () -> Result<LinkAuthenticationStep, RuntimeError> in
      do throws(RuntimeError) {
        return .success(isForServer ? try server.receive(changed) : try client.receive(changed))
      } catch {
        return .failure(error)
      }
    }
    switch read {
    case .success(let step):
      if step.isDone, isForServer { isServerDone = true }
      if step.isDone, !isForServer { isClientDone = true }
      next = step.reply
    case .failure(let error):
      check(error.code == .authenticationFailed, "there is a reason: \(error)")
      next = nil
    }
    isForServer.toggle()
  }
  let areSatisfied = isServerDone && isClientDone
  check(areSatisfied == (isUnchanged && holdsToken), "both are satisfied by a whole proof only")
  check(!isServerDone || holdsToken, "a server is satisfied by who holds the token only")
  check(!isClientDone || holdsToken, "a client is satisfied by who holds the token only")
}

/// Messages of the input's, or those that the side has sent itself.
private func reflect(_ input: inout Bytes, _ role: TokenAuthenticator.Role) {
  var side = made(role, tokens[0])
  var own = side.begin() ?? []
  while !input.isEmpty {
    let isOwn = input.next() & 1 == 0
    var message = isOwn ? own : []
    if !isOwn {
      message = (0..<input.next() % 64).map { _ in input.next() }
    }
    do throws(RuntimeError) {
      let step = try side.receive(message)
      check(!step.isDone, "who does not hold the token cannot prove it")
      own = step.reply ?? own
    } catch {
      check(error.code == .authenticationFailed, "there is a reason: \(error)")
    }
  }
}

/// The message with some bytes changed, cut off or added.
private func change(_ message: [UInt8], _ input: inout Bytes) -> [UInt8] {
  var message = message
  switch input.next() {
  case 1: message[Int(input.next()) % message.count] ^= input.next()
  case 2: message.removeLast(min(message.count, Int(input.next())))
  case 3: message += (0..<input.next()).map { _ in input.next() }
  default: break
  }
  return message
}
