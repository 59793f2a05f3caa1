import ByzRuntime

/// A worker whose answers to some calls are the test's.
package final class ScriptedWorker: CallServer {
  /// The answer to a call; nil to answer it as any worker does.
  package typealias Script = @Sendable (Service, Peer) async -> WireValue?

  private let host: WorkerHost
  private let script: Script

  private init(_ host: WorkerHost, _ script: @escaping Script) {
    self.host = host
    self.script = script
  }

  /// Serves until the link ends.
  package static func serve(
    _ link: any Link, _ registry: Registry = Registry(), script: @escaping Script
  ) async {
    let system = ByzActorSystem(registry: registry)
    let host = WorkerHost(system: system, isWorker: true)
    let peer = Peer(
      link: link, server: ScriptedWorker(host, script), hello: system.hello(namesBLAS: false))
    _ = try? await peer.open()
    _ = await peer.waitUntilEnded()
    await host.connectionEnded()
    await system.stop()
  }

  package func executor(for call: Message) -> (any TaskExecutor)? { host.executor(for: call) }

  package func serve(_ call: Message, from peer: Peer) async -> Message {
    if let value = try? WireValue(parsing: call.body, limits: WireLimits()),
      let service = try? Service(value), let answer = await script(service, peer)
    {
      return Message(.reply, body: answer.serialized())
    }
    return await host.serve(call, from: peer)
  }
}

/// Workers of this process whose answers to some calls are the test's.
package struct ScriptedBackend: LinkBackend {
  package let name = "scripted"
  package let capabilities: Set<Capability> = [.cpu]
  package let isSameProgram = true
  package let dialAddress: String? = "scripted://here"
  private let script: ScriptedWorker.Script

  package init(script: @escaping ScriptedWorker.Script) { self.script = script }

  package func openLink(named name: String) async throws -> any Link {
    let (here, there) = MemoryLink.pair()
    let script = script
    // Ends with the link, which whoever opened it closes.
    Task { await ScriptedWorker.serve(there, script: script) }
    return here
  }
}
