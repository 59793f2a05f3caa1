import ByzAuthentication
import ByzRuntime
import ByzTensor
import ByzUCX
import Testing

/// One after the other, since one of them counts descriptors.
@Suite("UCX", .needsUCX, .serialized, .timeLimit(.minutes(3)))
enum UCXTests {}

extension Trait where Self == ConditionTrait {
  /// Skips what needs UCX where there is none.
  static var needsUCX: Self {
    .enabled(if: UCX.isAvailable, "UCX is not installed: apt-get install libucx0 libucx-dev")
  }
}

/// Takes what a link tells, to be waited for.
final class Inbox: LinkReceiver {
  enum Event: Sendable {
    case message(Message)
    case closed(RuntimeError)
  }

  private let stream: AsyncStream<Event>
  private let continuation: AsyncStream<Event>.Continuation

  init() { (stream, continuation) = AsyncStream.makeStream() }

  func receive(_ message: Message) { continuation.yield(.message(message)) }
  func linkClosed(_ reason: RuntimeError) { continuation.yield(.closed(reason)) }

  /// The next thing told.
  func next() async -> Event? {
    for await event in stream { return event }
    return nil
  }

  /// The next message.
  func message() async throws -> Message {
    let event = await next()
    guard case .message(let message)? = event else {
      throw RuntimeError(.workerLost, "Expected a message, not \(String(describing: event))")
    }
    return message
  }

  /// Why the link closed, after whatever messages come before.
  func closed() async -> RuntimeError? {
    for await event in stream { if case .closed(let reason) = event { return reason } }
    return nil
  }
}

/// Sends back what it receives.
final class Echo: LinkReceiver {
  private let link: any Link
  init(_ link: any Link) { self.link = link }
  func receive(_ message: Message) { link.send(message) }
  func linkClosed(_ reason: RuntimeError) {}
}

/// A client's and a listener's end of a link, neither started.
func withLinks(
  options: UCXOptions = UCXOptions(), listener: UCXOptions? = nil,
  _ body: (_ client: UCXLink, _ server: UCXLink) async throws -> Void
) async throws {
  let (accepted, continuation) = AsyncStream<UCXLink>.makeStream()
  try await withUCXListener(
    on: "127.0.0.1:0", options: listener ?? options, accept: { continuation.yield($0) }
  ) { listener in
    let client = try await UCXLink.connect(to: listener.address, options: options)
    var links = accepted.makeAsyncIterator()
    let server = try #require(await links.next())
    try await body(client, server)
    client.close(RuntimeError(.stopped, "The test is over."))
    await client.waitUntilGone()
  }
}

/// A client whose other side echoes.
func withEcho(
  options: UCXOptions = UCXOptions(), _ body: (UCXLink, Inbox) async throws -> Void
) async throws {
  try await withLinks(options: options) { client, server in
    let inbox = Inbox()
    server.start(Echo(server))
    client.start(inbox)
    try await body(client, inbox)
  }
}

/// A segment of bytes that depend on their position and a seed.
func segment(byteCount: Int, seed: Int = 0) -> Segment {
  let storage = TensorStorage(byteCount: byteCount)
  for i in 0..<byteCount {
    storage.address.storeBytes(
      of: UInt8(truncatingIfNeeded: i &* 31 &+ i >> 8 &+ seed), toByteOffset: i, as: UInt8.self)
  }
  return Segment(storage: storage, offset: 0, byteCount: byteCount)
}

extension Segment {
  var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}
