import ByzRuntime

/// Workers and actors that live in this process but are reached over a link, as if they were elsewhere.
struct MemoryBackend: LinkBackend {
  let name = "memory"
  let capabilities: Set<Capability> = [.cpu]
  /// What the other side may be asked for.
  var registry: Registry
  var liveness = Liveness()
  /// The other sides' links, to break them.
  let links = Monitor([MemoryLink]())

  /// Of its own, as another process's would be: other tests may fill the shared ones.
  private static let thread = ThreadExecutor(name: "memory-backend")
  var thread = Self.thread
  /// Holds up the thread as soon as the other side has started the link.
  var hold: Signal?

  func openLink(named name: String) async throws -> any Link {
    let (here, there) = MemoryLink.pair()
    links.withLock { $0.append(there) }
    let (registry, liveness) = (registry, liveness)
    let link: any Link = hold.map { HoldingLink(there, hold: $0) } ?? there
    // Ends with the link, which whoever opened it closes.
    Task(executorPreference: thread) {
      await serveAsWorker(link, registry: registry, liveness: liveness, isSameProgram: true)
    }
    return here
  }

  var isSameProgram: Bool { true }

  /// Breaks every link, as if the other processes had died.
  func breakLinks() {
    for link in links.withLock({ $0 }) {
      link.close(RuntimeError(.workerLost, "The test broke the link."))
    }
  }
}

/// A link that whoever starts it does not get away from before a signal.
private final class HoldingLink: Link {
  private let link: MemoryLink
  private let hold: Signal

  init(_ link: MemoryLink, hold: Signal) { (self.link, self.hold) = (link, hold) }

  var peerName: String { link.peerName }
  var limits: WireLimits { link.limits }

  func start(_ receiver: any LinkReceiver) {
    link.start(receiver)
    hold.block()
  }

  func send(_ message: Message) { link.send(message) }
  func waitUntilWritable() async throws { try await link.waitUntilWritable() }
  func close(_ reason: RuntimeError) { link.close(reason) }
}
