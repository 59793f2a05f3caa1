import ByzRuntime
import ByzRuntimeTestSupport
import CByzSystem
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite("An introduction", .timeLimit(.minutes(3)))
struct IntroductionTests {
  private static let registry = Registry(actors: [Postman.self])

  /// Sends mail from one worker to another, which they cannot be connected for.
  private static func expectDetour(_ backend: SiblingBackend, _ otherBackend: SiblingBackend)
    async throws
  {
    let system = ByzActorSystem(
      registry: registry, introductionLimit: .seconds(2))
    do {
      let one = try await system.spawn(Postman.self, 0, on: backend)
      let other = try await system.spawn(Postman.self, 0, on: otherBackend)
      let start = ContinuousClock.now
      try await one.deliver(3, to: try await other.open("in"))
      // Sooner than the one that asks gives up by itself.
      #expect(ContinuousClock.now - start < .milliseconds(9500))
      #expect(try await other.received(3) == ["0", "1", "2"])
      #expect(system.mailPassedOn == 3)
    } catch {
      Issue.record(error)
    }
    await system.stop()
  }

  // In processes of their own: beside all other tests a task may wait for its turn longer than an introduction may take.

  @Test("ends in time when a worker does not answer, and mail goes another way")
  func mute() async {
    await #expect(processExitsWith: .success) {
      try await Self.expectDetour(
        SiblingBackend(Self.registry), SiblingBackend(Self.registry, isMute: true))
    }
  }

  @Test("ends in time when who is found at a worker's address says half of its hello")
  func halfHello() async {
    await #expect(processExitsWith: .success) {
      let hosts = [HalfHost(), HalfHost()]
      try await Self.expectDetour(
        SiblingBackend(Self.registry, dialing: hosts[0]),
        SiblingBackend(Self.registry, dialing: hosts[1]))
      // Each has tried the other's address.
      for host in hosts { #expect(host.visitorCount == 1) }
    }
  }
}

/// Workers of this process whom others of their client can reach, or so they say.
private struct SiblingBackend: LinkBackend {
  let name = "sibling"
  let capabilities: Set<Capability> = [.cpu]
  let isSameProgram = true
  let dialAddress: String? = "sibling://here"
  private let registry: Registry
  private let isMute: Bool
  private let host: HalfHost

  /// - Parameters:
  ///   - isMute: whether it does not answer when it is to be connected.
  ///   - host: whom it finds where it is told to go.
  init(_ registry: Registry, isMute: Bool = false, dialing host: HalfHost = HalfHost()) {
    self.registry = registry
    self.isMute = isMute
    self.host = host
  }

  func openLink(named name: String) async throws -> any Link {
    let (here, there) = MemoryLink.pair()
    let (registry, isMute, host) = (registry, isMute, host)
    // Ends with the link, which whoever opened it closes.
    Task {
      if isMute {
        await ScriptedWorker.serve(there, registry) { service, _ in
          guard case .join = service else { return nil }
          let never = AsyncStream.makeStream(of: Void.self)
          for await _ in never.stream {}
          return nil
        }
      } else {
        await serveAsWorker(
          there, registry: registry, lobby: Lobby(keepsClients: true) { _ in host },
          isSameProgram: true)
      }
    }
    return here
  }
}

/// Who listens, and says half a hello to who comes.
private final class HalfHost: LinkBackend {
  let name = "half"
  let capabilities: Set<Capability> = [.cpu]
  let isSameProgram = true
  private let sockets = Monitor([CInt]())

  deinit { for socket in sockets.withLock({ $0 }) { close(socket) } }

  func openLink(named name: String) async throws -> any Link {
    var pair: [CInt] = [-1, -1]
    #expect(byz_socket_pair(&pair) == 0)
    sockets.withLock { $0.append(pair[1]) }
    let hello = ByzActorSystem(registry: Registry()).hello(namesBLAS: false)
    let bytes = Frame.head(of: Message(.hello, epoch: 5, body: Hello.encode(hello)))
    #expect(write(pair[1], bytes, bytes.count / 2) == bytes.count / 2)
    return ProcessLink(
      peerName: "half", socket: pair[0], arena: nil, peerMemory: nil, child: nil)
  }

  var visitorCount: Int { sockets.withLock { $0.count } }
}
