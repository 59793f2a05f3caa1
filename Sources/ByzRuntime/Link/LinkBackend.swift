/// A backend whose workers and actors live in another process, reached over a link.
package protocol LinkBackend: WorkerBackend {
  /// What this side proves before it speaks; nil where the transport has proved it already.
  var authenticator: (any LinkAuthenticator)? { get }

  /// Whether the other process is this very program on this very machine, so that it computes the same bits.
  var isSameProgram: Bool { get }

  /// Whether to refuse a process that would compute other bits than this one.
  var requiresSameBits: Bool { get }

  /// Where other workers reach those of this backend, such as `tcp://host:port`; nil where they cannot.
  var dialAddress: String? { get }

  /// Opens a connection of its own to a process: starts a child, or connects to a host.
  ///
  /// - Throws: ``RuntimeError/Code/workerStartFailed`` or ``RuntimeError/Code/transportUnavailable``, with the reason and what to
  ///   change.
  func openLink(named name: String) async throws -> any Link
}

extension LinkBackend {
  package var authenticator: (any LinkAuthenticator)? { nil }
  package var isSameProgram: Bool { false }
  package var requiresSameBits: Bool { false }
  package var dialAddress: String? { nil }
}
