import ByzRuntime

/// Listens for links and keeps those that it has accepted until `body` is done; then all of them are closed and gone.
///
/// - Parameters:
///   - address: `host:port`, with port 0 for one that is free.
///   - options: What is asked of those who connect.
///   - accept: Is handed each link, not started, on a thread that accepts no one meanwhile.
/// - Throws: `RuntimeError.Code.transportUnavailable`; `RuntimeError.Code.invalidConfiguration` for an address that is not a
///   loopback address without a token and a trusted fabric; what `body` throws.
package func withUCXListener<R>(
  on address: String, options: UCXOptions = UCXOptions(),
  accept: @escaping @Sendable (UCXLink) -> Void,
  isolation: isolated (any Actor)? = #isolation,
  _ body: (UCXListener) async throws -> R
) async throws -> R {
  let listener = try UCXListener(at: address, options: options, accept: accept)
  let result: Result<R, any Error>
  do {
    result = .success(try await body(listener))
  } catch {
    result = .failure(error)
  }
  await listener.stop()
  return try result.get()
}

/// What ``withUCXListener(on:options:accept:isolation:_:)`` hands out.
package final class UCXListener: Sendable {
  private struct State {
    var gate: ConnectionGate
    var links: [ObjectIdentifier: UCXLink] = [:]
    var endpoint: UCXEndpoint?
    var context: UCXContext?
    var isStopping = false
    var isGone = false
    var waitingForEnd: [CheckedContinuation<Void, Never>] = []
  }

  /// Where it listens, as `host:port`.
  package let address: String
  /// The port, chosen by the system if 0 was asked for.
  package let port: Int

  private let options: UCXOptions
  private let accept: @Sendable (UCXLink) -> Void
  private let state: Monitor<State>

  fileprivate init(
    at name: String, options: UCXOptions, accept: @escaping @Sendable (UCXLink) -> Void
  ) throws(RuntimeError) {
    let address = try UCXAddress(name)
    try options.check(address)
    let context = try UCXContext(transports: options.transports)
    let endpoint = try UCXEndpoint(context: context, options: options)
    let bound = try endpoint.listen(at: address)
    self.options = options
    self.accept = accept
    self.address = String(bound.description.dropFirst("ucx://".count))
    port = bound.port
    let gate = ConnectionGate(
      maxConnections: options.maximumConnections,
      maxConnectionsPerParty: options.maximumConnectionsPerAddress,
      maxAcceptsPerSecond: options.maximumAcceptsPerSecondPerAddress)
    state = Monitor(State(gate: gate, endpoint: endpoint, context: context))
    try startUCXThread { [self] in run(endpoint) }
  }

  /// The links that are open.
  package var connectionCount: Int { state.withLock { $0.links.count } }

  fileprivate func stop() async {
    await withCheckedContinuation { waiting in
      let isGone = state.withLock { state in
        state.isStopping = true
        if !state.isGone { state.waitingForEnd.append(waiting) }
        state.endpoint?.wake()
        return state.isGone
      }
      if isGone { waiting.resume() }
    }
    let links = state.withLock { Array($0.links.values) }
    for link in links { link.close(RuntimeError(.stopped, "The listener has stopped.")) }
    for link in links { await link.waitUntilGone() }
    state.withLock { $0.context = nil }
  }

  private func run(_ endpoint: UCXEndpoint) {
    while !state.withLock({ $0.isStopping }) {
      let isBusy = endpoint.step()
      for request in endpoint.takeRequests() { admit(request, endpoint) }
      if !isBusy { endpoint.wait() }
    }
    state.withLock { $0.endpoint = nil }
    endpoint.finish()
    let waiting = state.withLock { state in
      state.isGone = true
      defer { state.waitingForEnd = [] }
      return state.waitingForEnd
    }
    for waiting in waiting { waiting.resume() }
  }

  /// Makes a link of a request, or refuses it.
  private func admit(_ request: OpaquePointer, _ listener: UCXEndpoint) {
    guard let address = UCXEndpoint.address(of: request), letsIn(address.party) else {
      return listener.reject(request)
    }
    var isKept = false
    defer { if !isKept { state.withLock { $0.gate.release(address.party) } } }
    guard let context = state.withLock({ $0.context }),
      let endpoint = try? UCXEndpoint(context: context, options: options)
    else { return listener.reject(request) }
    // Who is gone already, and is then not accepted, is no concern of the others.
    guard (try? endpoint.accept(request, from: address)) != nil,
      let link = try? keepLink(endpoint, from: address)
    else {
      // As a rule it closes at once. Whoever hangs on the other side must not keep those waiting who want to be let in.
      if !endpoint.close(within: .milliseconds(100)),
        (try? startUCXThread { endpoint.finish() }) == nil
      {
        endpoint.finish()
      }
      return
    }
    isKept = true
    accept(link)
  }

  /// Whether one more of this address may come in, who counts from now on if so.
  private func letsIn(_ party: [UInt8]) -> Bool {
    let second = UInt64(Alarm.now.components.seconds)
    return state.withLock { $0.gate.admit(party, second: second) == nil }
  }

  /// Makes a link that is kept until it is gone.
  private func keepLink(
    _ endpoint: UCXEndpoint, from address: UCXAddress
  ) throws -> UCXLink {
    // With the lock, so that a link that ends at once is not kept after that.
    try state.withLock { state in
      let link = try UCXLink.accepted(
        endpoint, from: address, options: options,
        whenGone: { [weak self] link in
          self?.state.withLock { state in
            state.links[ObjectIdentifier(link)] = nil
            state.gate.release(address.party)
          }
        })
      state.links[ObjectIdentifier(link)] = link
      return link
    }
  }
}
