import ByzAuthentication
public import ByzRuntime
import NIOCore
import NIOPosix
import NIOSSL

/// Starts workers on another machine, over TCP.
///
/// ```swift
/// let tls = TLSOptions(trustRootsFile: "ca.pem")
/// .tcp("worker-3:29000", TCPOptions(tls: tls, token: try .inEnvironment()))
/// ```
public struct TCPBackend: WorkerBackend {
  /// Where the worker listens; or why the text that was given is no address.
  private let address: Result<TCPAddress, RuntimeError>
  private let options: TCPOptions

  /// The recipe for one host.
  public init(_ address: TCPAddress, options: TCPOptions = TCPOptions()) {
    self.address = .success(address)
    self.options = options
  }

  fileprivate init(text: String, options: TCPOptions) {
    do throws(RuntimeError) {
      address = .success(try TCPAddress(text))
    } catch {
      address = .failure(error)
    }
    self.options = options
  }

  /// `tcp`.
  public var name: String { "tcp" }

  /// The processor, until the configuration says what else the host has.
  public var capabilities: Set<Capability> { [.cpu] }
}

extension WorkerBackend where Self == TCPBackend {
  /// A worker that listens at `host:port`.
  ///
  /// A text that is no address is refused when the first connection is made;
  /// ``TCPAddress/init(_:)`` checks it before.
  public static func tcp(_ address: String, _ options: TCPOptions = TCPOptions()) -> TCPBackend {
    TCPBackend(text: address, options: options)
  }
}

extension TCPBackend: LinkBackend {
  package var dialAddress: String? { (try? address.get()).map { "tcp://\($0)" } }

  package var requiresSameBits: Bool { options.requiresSameBits }

  package var authenticator: (any LinkAuthenticator)? {
    options.token.map { TokenAuthenticator(role: .client, token: $0) }
  }

  package func openLink(named name: String) async throws -> any Link {
    // Not a poll: what one waits for is another machine, of which nothing else tells.
    try await openLink { try await Task.sleep(for: $0) }
  }

  /// The same with other means to wait between attempts.
  package func openLink(
    wait: (Duration) async throws -> Void
  ) async throws -> any Link {
    let address = try address.get()
    guard address.port > 0 else {
      throw RuntimeError(
        .invalidConfiguration, "tcp://\(address): nobody listens on port 0. Give the worker's port."
      )
    }
    var backOff = BackOff(options.retry)
    var attempts = 0
    var lastFailure: ConnectFailure?
    do {
      while true {
        // Read each time: a certificate may be renewed meanwhile.
        let attempt = TCPAttempt(
          address: address, options: options, context: try options.tls?.clientContext())
        do {
          return try await attempt.run()
        } catch let failure as ConnectFailure {
          attempts += 1
          lastFailure = failure
          guard failure.mayPass, let delay = backOff.next() else {
            throw failure.error(afterAttempts: attempts)
          }
          try await wait(delay)
        }
      }
    } catch let error as CancellationError {
      // Whose time is over wants to know why.
      guard let lastFailure, let timeLeft = CallDeadline.timeLeft, timeLeft <= .zero else {
        throw error
      }
      throw lastFailure.error(afterAttempts: attempts)
    }
  }
}

extension ConnectFailure {
  /// The error, with the number of attempts where there was more than one.
  fileprivate func error(afterAttempts attempts: Int) -> RuntimeError {
    guard attempts > 1 else { return error }
    return RuntimeError(
      error.code, "\(error.message) Tried \(attempts) times.", cause: error.cause)
  }
}
