import ByzAuthentication
import ByzRuntime
import ByzTCP
import ByzTensor
import Foundation
import Testing

/// Keeps what a link delivers, for a test to wait for.
final class Inbox: LinkReceiver {
  enum Event: Sendable {
    case message(Message)
    case closed(RuntimeError)
  }

  private let (events, continuation) = AsyncStream.makeStream(of: Event.self)

  func receive(_ message: Message) { continuation.yield(.message(message)) }

  // Not the end of the stream: a second call would be seen.
  func linkClosed(_ reason: RuntimeError) { continuation.yield(.closed(reason)) }

  func next() async -> Event? {
    for await event in events { return event }
    return nil
  }

  func message() async throws -> Message {
    switch await next() {
    case .message(let message)?: return message
    case .closed(let reason)?: throw reason
    case nil: throw CancellationError()
    }
  }

  /// Why the link has closed, whatever came before.
  func closure() async throws -> RuntimeError {
    while let event = await next() {
      if case .closed(let reason) = event { return reason }
    }
    throw CancellationError()
  }
}

/// Sends every message back, once a token is proved where one is asked for.
final class Echo: LinkReceiver {
  private let link: any Link
  private let authenticator: Monitor<(any LinkAuthenticator)?>
  private let closed: @Sendable (RuntimeError) -> Void

  init(
    _ link: any Link, _ authenticator: (any LinkAuthenticator)?,
    closed: @escaping @Sendable (RuntimeError) -> Void
  ) {
    self.link = link
    self.authenticator = Monitor(authenticator)
    self.closed = closed
  }

  func receive(_ message: Message) {
    do {
      let isKnown = try authenticator.withLock { authenticator in
        guard authenticator != nil else { return true }
        if let step = try authenticator?.receive(message.body) {
          if step.isDone {
            authenticator = nil
            link.authenticated()
          }
          if let reply = step.reply { link.send(Message(.authentication, body: reply)) }
        }
        return false
      }
      if isKnown { link.send(message) }
    } catch {
      link.close(error as? RuntimeError ?? RuntimeError(.authenticationFailed, "\(error)"))
    }
  }

  func linkClosed(_ reason: RuntimeError) { closed(reason) }
}

/// A listener whose links echo, and a record of why they ended.
struct EchoHost: Sendable {
  let address: TCPAddress
  private let (ends, continuation):
    (AsyncStream<RuntimeError>, AsyncStream<RuntimeError>.Continuation)

  private init(
    _ address: TCPAddress,
    _ stream: (AsyncStream<RuntimeError>, AsyncStream<RuntimeError>.Continuation)
  ) {
    self.address = address
    (ends, continuation) = stream
  }

  /// Why the next link to end has ended.
  func end() async throws -> RuntimeError {
    for await reason in ends { return reason }
    throw CancellationError()
  }

  func expectEnd(
    _ code: RuntimeError.Code, sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let reason = try await end()
    #expect(reason.code == code, "\(reason)", sourceLocation: sourceLocation)
  }

  static func run<R>(
    on address: TCPAddress = .loopback, _ options: TCPListenerOptions = TCPListenerOptions(),
    isolation: isolated (any Actor)? = #isolation, _ body: (EchoHost) async throws -> R
  ) async throws -> R {
    let stream = AsyncStream.makeStream(of: RuntimeError.self)
    return try await withTCPListener(
      on: address, options: options,
      accept: { link, authenticator in
        link.start(Echo(link, authenticator) { stream.continuation.yield($0) })
      },
      body: { try await body(EchoHost($0, (stream.stream, stream.continuation))) })
  }

  /// A client that has proved its token, where it has one.
  func connect(_ options: TCPOptions = TCPOptions()) async throws -> Client {
    let backend = TCPBackend(address, options: options)
    let client = Client(link: try await backend.openLink(named: "test"))
    if var authenticator = backend.authenticator {
      var body = authenticator.begin()
      while let next = body {
        client.link.send(Message(.authentication, body: next))
        let step = try authenticator.receive(try await client.inbox.message().body)
        if step.isDone { break }
        body = step.reply
      }
    }
    return client
  }

  /// The same for a server that does not wait long: on a machine with much else to do, the tasks of this process may be kept from
  /// answering in time.
  func connectInTime(_ options: TCPOptions) async throws -> Client {
    for _ in 1..<20 {
      do {
        let client = try await connect(options)
        try await client.expectEcho([0])
        return client
      } catch let error as RuntimeError where error.code == .workerLost {}
    }
    return try await connect(options)
  }
}

struct Client: Sendable {
  let link: any Link
  let inbox = Inbox()

  init(link: any Link) {
    self.link = link
    link.start(inbox)
  }

  /// Sends a message and waits for the next one.
  func echo(_ body: [UInt8], _ segments: [Segment] = []) async throws -> Message {
    link.send(Message(.call, call: 1, body: body, segments: segments))
    return try await inbox.message()
  }

  func expectEcho(
    _ body: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let echo = try await echo(body)
    #expect(echo.body == body, sourceLocation: sourceLocation)
  }
}

/// The value, where `#require` cannot be asked because the expression changes something.
func unwrap<Value>(_ value: Value?) throws -> Value {
  guard let value else { throw MissingValue() }
  return value
}

struct MissingValue: Error {}

extension Segment {
  var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

  /// So many bytes that differ from their neighbours.
  static func pattern(_ byteCount: Int) -> Segment {
    let storage = TensorStorage(byteCount: byteCount)
    for i in 0..<byteCount {
      storage.address.storeBytes(
        of: UInt8(truncatingIfNeeded: i &* 31 &+ i >> 8), toByteOffset: i, as: UInt8.self)
    }
    return Segment(storage: storage, offset: 0, byteCount: byteCount)
  }
}

enum Certificates {
  static func path(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Certificates/\(name)").path
  }

  /// TLS with a certificate, if any, that trusts an authority, if any.
  static func tls(
    _ certificate: String?, trusting authority: String? = "ca", serverName: String? = nil
  ) -> TLSOptions {
    TLSOptions(
      certificateChainFile: certificate.map { path("\($0).pem") },
      privateKeyFile: certificate.map { path("\($0).key") },
      trustRootsFile: authority.map { path("\($0).pem") }, serverName: serverName)
  }
}
