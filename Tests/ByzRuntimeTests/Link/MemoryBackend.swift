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

  func openLink(named name: String) async throws -> any Link {
    let (here, there) = MemoryLink.pair()
    links.withLock { $0.append(there) }
    let (registry, liveness) = (registry, liveness)
    // Ends with the link, which whoever opened it closes.
    Task(executorPreference: Self.thread) {
      await serveAsWorker(there, registry: registry, liveness: liveness, isSameProgram: true)
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
