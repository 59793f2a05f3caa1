package import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A process that this one has started and will bury: it leaves no zombie.
package final class ChildProcess: Sendable {
  package let identifier: pid_t
  /// Names the process even after its number belongs to another one; -1 where the kernel is too old.
  private let descriptor: CInt
  /// How it has ended, once it has been reaped.
  private let ending = Monitor<Ending?>(nil)

  /// How a process ended.
  package enum Ending: Hashable, Sendable {
    case exited(status: CInt)
    case killed(signal: CInt)
    /// Something else in this process waited for it.
    case unknown
  }

  /// Starts `executable`, or what is running now, with `descriptors` as 3, 4, … and nothing else open but output and error.
  ///
  /// The child dies with the *thread* that calls this, if it asks for that, so the thread must be one that stays.
  ///
  /// - Throws: ``RuntimeError/Code/workerStartFailed`` with the system's reason.
  package init(
    executable: String?, arguments: [String], environment: [String: String], descriptors: [CInt]
  ) throws(RuntimeError) {
    var (identifier, descriptor): (pid_t, CInt) = (0, -1)
    let status = withCStrings(arguments) { arguments in
      withCStrings(environment.map { "\($0)=\($1)" }) { additions in
        byz_spawn(
          executable, arguments, additions, descriptors, CInt(descriptors.count),
          Self.firstDescriptor, &identifier, &descriptor)
      }
    }
    guard status == 0 else {
      throw RuntimeError(
        .workerStartFailed,
        "\(executable ?? "This program") could not be started: \(String(cString: strerror(-status)))."
      )
    }
    self.identifier = identifier
    self.descriptor = descriptor
  }

  deinit {
    end()
    byz_close(descriptor)
  }

  /// The number that the first inherited descriptor has in a child.
  package static let firstDescriptor: CInt = 3

  /// Kills the process, and reaps it if it is gone within so long; if not, ``end(within:)`` will. For threads that must not wait: what
  /// the system does for a process cannot always be interrupted. On a kernel too old to tell, it waits until the process is gone.
  package func kill(within limit: Duration) {
    guard descriptor >= 0 else {
      end()
      return
    }
    _ = byz_kill(identifier, descriptor)
    if byz_wait_for_exit(descriptor, limit.wholeMilliseconds) == 1 { end() }
  }

  /// Waits so long for the process to end, kills it if it does not, and reaps it. Nothing of it is left when this returns.
  ///
  /// Without a time to wait, a call of another thread that does wait is cut short.
  @discardableResult
  package func end(within limit: Duration = .zero) -> Ending {
    if limit == .zero, descriptor >= 0 { _ = byz_kill(identifier, descriptor) }
    return ending.withLock { ending in
      if let ending { return ending }
      if limit == .zero || byz_wait_for_exit(descriptor, limit.wholeMilliseconds) != 1 {
        _ = byz_kill(identifier, descriptor)
      }
      let status = byz_reap(identifier)
      let result: Ending =
        status < 0
        ? .unknown : status < 256 ? .exited(status: status) : .killed(signal: status - 256)
      ending = result
      return result
    }
  }
}

extension ChildProcess.Ending: CustomStringConvertible {
  /// What the process did: "exited with status 3", "was killed by signal 9 (Killed)".
  package var description: String {
    switch self {
    case .exited(let status): "exited with status \(status)"
    case .killed(let signal):
      "was killed by signal \(signal) (\(String(cString: strsignal(signal))))"
    case .unknown: "ended"
    }
  }
}

extension Duration {
  /// Rounded down, as far as a poll can wait.
  fileprivate var wholeMilliseconds: CInt {
    let (seconds, attoseconds) = components
    guard seconds < 1_000_000 else { return 1_000_000_000 }
    return CInt(seconds * 1000 + attoseconds / 1_000_000_000_000_000)
  }
}

/// Calls `body` with C strings and a null pointer behind them.
private func withCStrings<R>(
  _ strings: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> R
) -> R {
  let copies = strings.map { strdup($0) }
  defer { copies.forEach { free($0) } }
  let pointers = copies.map { UnsafePointer($0) } + [nil]
  return pointers.withUnsafeBufferPointer { body($0.baseAddress!) }
}
