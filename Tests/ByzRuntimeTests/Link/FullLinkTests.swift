import ByzRuntime
import ByzTensor
import Testing

@Suite("A link that is full")
struct FullLinkTests {
  /// One whose other side lives and reads nothing: there is no room for as long as it is there.
  private final class Full: Link {
    let peerName = "full"
    let isFull = true
    private let link: MemoryLink
    private let closed = AsyncStream.makeStream(of: Void.self)

    init(_ link: MemoryLink) { self.link = link }

    func start(_ receiver: any LinkReceiver) { link.start(receiver) }
    func send(_ message: Message) { link.send(message) }
    func waitUntilWritable() async throws {
      for await _ in closed.stream {}
      try Task.checkCancellation()
    }
    func close(_ reason: RuntimeError) {
      closed.continuation.finish()
      link.close(reason)
    }
  }

  @Test("holds a call no longer than the call may take", .timeLimit(.minutes(3)))
  func deadline() async throws {
    let (here, there) = MemoryLink.pair()
    let hello = ByzActorSystem(registry: Registry()).hello(namesBLAS: false)
    let other = Peer(link: there, hello: hello)
    other.begin()
    let peer = Peer(link: Full(here), hello: hello)
    try await peer.open()
    let error = await #expect(throws: RuntimeError.self) {
      _ = try await peer.call(body: [], timeLeft: .milliseconds(20))
    }
    #expect(error?.code == .deadlineExceeded)
    peer.link.close(RuntimeError(.stopped, "The test is over."))
  }
}
