import ByzAuthentication
public import ByzRuntime

/// Hosts workers that are reached over UCX while `body` runs: actors and subtasks of the registry, for whoever may connect.
///
/// When `body` ends, or the task is cancelled, nobody new is served, and calls that are running may finish within
/// `WorkerServerOptions.drainLimit`; then every connection ends, and with it what was made for it.
///
/// - Parameters:
///   - address: `host:port`, with port 0 for one that is free.
///   - registry: all that clients may name; see `Registry.byzKit` for what pools need.
///   - listener: what is asked of clients.
///   - options: liveness, draining, and who is told what happens.
///   - isolation: the caller's, in which `body` runs.
///   - body: what is done meanwhile, given the server.
/// - Throws: `RuntimeError.Code.transportUnavailable` without UCX, or when the address cannot be used;
///   `RuntimeError.Code.invalidConfiguration` for an address that is not a loopback address without a token and a trusted fabric;
///   what `body` throws.
public func withUCXWorkerServer<Result>(
  on address: String, registry: Registry, listener: UCXOptions = UCXOptions(),
  options: WorkerServerOptions = WorkerServerOptions(),
  isolation: isolated (any Actor)? = #isolation,
  body: (WorkerServer) async throws -> Result
) async throws -> Result {
  var options = options
  options.requiresSameBits = options.requiresSameBits || listener.requiresSameBits
  let sessions = WorkerSessions(registry: registry, options: options) { address in
    UCXBackend(String(address.trimmingPrefix("ucx://")), options: listener)
  }
  return try await withUCXListener(
    on: address, options: listener,
    accept: { link in
      sessions.accept(link, listener.token.map { TokenAuthenticator(role: .server, token: $0) })
    }
  ) { bound in
    try await sessions.run(at: "ucx://\(bound.address)", body: body)
  }
}
