import ArgumentParser
import ByzKit
import ByzLaunch
import ByzTCP
import ByzUCX
import ExampleSupport

/// One actor, called the same way on a thread, in a child process and on another machine.
@main
struct ActorDemo: Program {
  static let configuration = CommandConfiguration(
    commandName: "actor-demo",
    abstract: "Call an actor on a thread, in a child process, on another machine.",
    discussion: """
      With --backend all, the actors on other machines are on this one, behind connections over TCP and, where it is \
      installed, UCX. For a real one, start 'actor-demo --listen HOST:PORT' there, with BYZKIT_TOKEN and certificates unless HOST is 127.0.0.1, \
      and call it with --backend tcp://HOST:PORT. Over UCX it is --listen HOST:PORT --ucx and --backend ucx://HOST:PORT, with BYZKIT_TOKEN \
      and, where everybody who can reach it is trusted, --insecure.
      """)

  @Option(help: "thread, process, tcp://host:port, ucx://host:port, a list of these, or all.")
  var backend = "all"
  @Option(help: "Host actors for others at this address, instead, until Ctrl-C.") var listen:
    String?
  @Flag(help: "Host them over UCX instead of TCP.") var ucx = false
  @OptionGroup(title: "Other machines") var connection: ConnectionFlags

  /// What others may have made and called.
  static let registry = Registry(actors: [Calculator.self], errors: [DivisionByZero.self])

  static func main() async { await start(registry) }

  func validate() throws {
    guard listen == nil || backend == "all" else {
      throw ValidationError(
        "--listen and --backend exclude each other: one process hosts, another calls.")
    }
    guard listen != nil || !ucx else {
      throw ValidationError("--ucx says how to host actors: give --listen, too.")
    }
  }

  func execute() async throws {
    if let listen {
      try await host(at: try TCPAddress(listen))
    } else if backend == "all" {
      try connection.check([])
      try await withWorkerServer(registry: Self.registry) { server in
        try await show("thread,process,\(server.address)", BackendOptions())
      }
      guard UCX.isAvailable else { return }
      try await withUCXWorkerServer(on: "127.0.0.1:0", registry: Self.registry) { server in
        try await show(server.address, BackendOptions())
      }
    } else {
      let places = try BackendSpecification.list(backend)
      try connection.check(places)
      for several in places where several.count > 1 {
        throw UsageError(
          "--backend asks for \(several.place) \(several.count) times, but the actor is shown once "
            + "at each place. Name it once, without a count.")
      }
      try await show(backend, connection.options())
    }
  }

  private func host(at address: TCPAddress) async throws {
    @Sendable func serve(_ server: WorkerServer) async throws {
      try printOut("Listening at \(server.address); Ctrl-C ends it.")
      await server.waitUntilDraining()
    }
    if ucx {
      let listener = try connection.ucxOptions()
      try await interruptible {
        try await withUCXWorkerServer(
          on: "\(address)", registry: Self.registry, listener: listener, body: serve)
      }
    } else {
      let listener = try connection.listenerOptions()
      var options = WorkerServerOptions()
      options.requiresSameBits = connection.requireSameBits
      try await interruptible { [options] in
        try await withWorkerServer(
          on: address, registry: Self.registry, listener: listener, options: options, body: serve)
      }
    }
  }

  private func show(_ backends: String, _ options: BackendOptions) async throws {
    for specification in try BackendSpecification.list(backends) {
      try await withActorSystem(Self.registry) { system in
        try await Demonstration(system: system, place: specification.place)
          .run(on: specification.backend(options))
      }
    }
  }
}
