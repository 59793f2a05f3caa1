import ByzAuthentication
public import ByzRuntime

/// Starts workers in a process that listens over UCX.
///
/// For trusted fabrics: UCX encrypts nothing and parses what others send before ByzKit sees it. On loopback addresses the bytes
/// travel through shared memory; elsewhere over the fastest network that the machines have in common.
public struct UCXBackend: WorkerBackend {
  /// `host:port` of the process.
  public let address: String
  /// What is asked of it.
  public let options: UCXOptions

  /// A process at `host:port`.
  public init(_ address: String, options: UCXOptions = UCXOptions()) {
    self.address = address
    self.options = options
  }

  /// `ucx`.
  public var name: String { "ucx" }

  /// The processor.
  public var capabilities: Set<Capability> { [.cpu] }
}

extension WorkerBackend where Self == UCXBackend {
  /// A worker that listens at `host:port`.
  public static func ucx(_ address: String, _ options: UCXOptions = UCXOptions()) -> UCXBackend {
    UCXBackend(address, options: options)
  }
}

extension UCXBackend: LinkBackend {
  package var dialAddress: String? { "ucx://\(address)" }

  package var requiresSameBits: Bool { options.requiresSameBits }

  package var authenticator: (any LinkAuthenticator)? {
    options.token.map { TokenAuthenticator(role: .client, token: $0) }
  }

  package func openLink(named name: String) async throws -> any Link {
    try await UCXLink.connect(to: address, options: options)
  }
}
