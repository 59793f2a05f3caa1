public import ByzRuntime

/// Hosts workers that are reached over TCP while `body` runs: actors and subtasks of the registry, for whoever may connect.
///
/// ```swift
/// let registry = Registry.byzKit.merging(Registry(actors: [Calculator.self]))
/// try await withWorkerServer(on: TCPAddress("127.0.0.1:29000"), registry: registry) { server in
///   print(server.address)
///   await server.waitUntilDraining()
/// }
/// ```
///
/// Workers that one client has on several hosts send each other mail directly. One connects to where the client reaches the other,
/// as ``TCPListenerOptions/siblings`` says; without a certificate that the other trusts, or its token, the mail goes through
/// the client.
///
/// When `body` ends, or the task is cancelled, nobody new is let in, and calls that are running may finish within
/// `WorkerServerOptions.drainLimit`; then every connection ends, and with it what was made for it.
///
/// - Parameters:
///   - address: by default loopback, on a port that the system chooses.
///   - registry: all that clients may name; see `Registry.byzKit` for what pools need.
///   - listener: what is asked of clients, and how much they get.
///   - options: liveness, draining, and who is told what happens.
///   - isolation: the caller's, in which `body` runs.
///   - body: what is done meanwhile, given the server.
/// - Throws: `RuntimeError.Code.invalidConfiguration` for an address that others than this machine reach, without the means to
///   tell who they are; `RuntimeError.Code.transportUnavailable` when the address cannot be used; what `body` throws.
public func withWorkerServer<Result>(
  on address: TCPAddress = .loopback, registry: Registry,
  listener: TCPListenerOptions = TCPListenerOptions(),
  options: WorkerServerOptions = WorkerServerOptions(),
  isolation: isolated (any Actor)? = #isolation,
  body: (WorkerServer) async throws -> Result
) async throws -> Result {
  // A file that cannot be read shows now, not when mail goes another way.
  _ = try listener.siblings?.tls?.clientContext()
  let siblings = listener.connectingToSiblings
  let sessions = WorkerSessions(registry: registry, options: options) { address in
    TCPBackend(try TCPAddress(address), options: siblings)
  }
  return try await withTCPListener(
    on: address, options: listener, accept: { sessions.accept($0, $1) },
    listening: { bound, stopAccepting in
      try await sessions.run(at: "tcp://\(bound)", stopAccepting: stopAccepting, body: body)
    })
}
