import ByzRuntime
import ByzTensor
import CByzSystem
import Testing

/// Collects what a link delivers.
final class Inbox: LinkReceiver {
  let messages: AsyncStream<Message>
  private let closing: AsyncStream<RuntimeError>
  private let putMessage: AsyncStream<Message>.Continuation
  private let putReason: AsyncStream<RuntimeError>.Continuation

  init() {
    (messages, putMessage) = AsyncStream.makeStream()
    (closing, putReason) = AsyncStream.makeStream()
  }

  func receive(_ message: Message) { putMessage.yield(message) }

  func linkClosed(_ reason: RuntimeError) {
    putMessage.finish()
    putReason.yield(reason)
    putReason.finish()
  }

  /// Why the link was closed, when it is.
  func closed() async throws -> RuntimeError {
    var reasons: [RuntimeError] = []
    for await reason in closing { reasons.append(reason) }
    #expect(reasons.count == 1)
    return try #require(reasons.first)
  }

  func next() async throws -> Message {
    var iterator = messages.makeAsyncIterator()
    return try #require(await iterator.next())
  }
}

/// Two links in one process that are connected to each other, each with an arena of its own.
struct LinkPair {
  let here: ProcessLink
  let there: ProcessLink
  let arena: SharedArena
  let otherArena: SharedArena

  init(arenaByteCount: Int = 64 << 20, limits: WireLimits = WireLimits()) throws {
    arena = try SharedArena(byteCount: arenaByteCount)
    otherArena = try SharedArena(byteCount: arenaByteCount)
    var sockets: [CInt] = [-1, -1]
    let status = byz_socket_pair(&sockets)
    #expect(status == 0)
    here = ProcessLink(
      peerName: "there", socket: sockets[0], arena: arena,
      peerMemory: try MappedArena(fileDescriptor: otherArena.fileDescriptor), child: nil,
      limits: limits)
    there = ProcessLink(
      peerName: "here", socket: sockets[1], arena: otherArena,
      peerMemory: try MappedArena(fileDescriptor: arena.fileDescriptor), child: nil,
      limits: limits)
  }

  func close() {
    here.close(RuntimeError(.stopped, "The test is over."))
    there.close(RuntimeError(.stopped, "The test is over."))
  }
}

extension Message {
  /// A call with a tensor for each size, filled with numbers that depend on the call.
  static func sample(_ call: UInt64, sizes: [Int]) -> Message {
    Message(
      .call, epoch: 1, call: call, body: Array("call \(call)".utf8),
      segments: sizes.map { size in
        let values = (0..<size).map { Int32(truncatingIfNeeded: Int(call) &* 31 &+ $0) }
        return Tensor(values.map { Float(bitPattern: UInt32(bitPattern: $0)) }).segment
      })
  }

  /// Whether everything but the kind is equal.
  func agrees(with other: Message) -> Bool {
    epoch == other.epoch && call == other.call && body == other.body
      && segments.count == other.segments.count
      && zip(segments, other.segments).allSatisfy { a, b in
        a.withUnsafeBytes { x in b.withUnsafeBytes { y in x.elementsEqual(y) } }
      }
  }
}

/// Waits until a condition that another thread brings about holds; gives up after a minute.
func eventually(_ condition: () -> Bool) async -> Bool {
  let start = ContinuousClock.now
  while !condition() {
    if ContinuousClock.now - start > .seconds(60) { return false }
    await Task.yield()
  }
  return true
}
