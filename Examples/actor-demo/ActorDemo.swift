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
      and call it with --backend tcp://HOST:PORT.
      """)

  @Option(help: "thread, process, tcp://host:port, ucx://host:port, a list of these, or all.")
  var backend = "all"
  @Option(help: "Host actors for others at this address, instead, until Ctrl-C.") var listen:
    String?
  @OptionGroup(title: "Other machines") var connection: ConnectionFlags

  /// What others may have made and called.
  static let registry = Registry(actors: [Calculator.self], errors: [DivisionByZero.self])

  static func main() async { await start(registry) }

  func validate() throws {
    guard listen == nil || backend == "all" else {
      throw ValidationError(
        "--listen and --backend exclude each other: one process hosts, another calls.")
    }
  }

  func execute() async throws {
    if let listen {
      let address = try TCPAddress(listen)
      let listener = try connection.listenerOptions()
      var options = WorkerServerOptions()
      options.requiresSameBits = connection.requireSameBits
      try await interruptible { [options] in
        try await withWorkerServer(
          on: address, registry: Self.registry, listener: listener, options: options
        ) { server in
          try printOut("Listening at \(server.address); Ctrl-C ends it.")
          await server.waitUntilDraining()
        }
      }
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
      try connection.check(try BackendSpecification.list(backend))
      try await show(backend, connection.options())
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
