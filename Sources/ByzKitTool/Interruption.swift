import Foundation
import Synchronization

/// Removes the unfinished file when the user interrupts the command, which then ends as it would
/// have.
///
/// A signal may come on any thread at any time, so its handler uses nothing but atomic loads and
/// stores and what POSIX allows it.
enum Interruption {
  /// Whether a file is being begun, so that its name is not known yet.
  private static let isBeginning = Atomic(false)
  /// The signal that came, or 0.
  private static let pending = Atomic<Int32>(0)
  /// Where the unfinished file is; never freed. The address of a C string, or 0.
  private static let path = Atomic<UInt>(0)

  /// Handles signals from now on, but not those that whoever started the command wants ignored, as
  /// `nohup` does.
  static func prepare() {
    // The first use of a static property is no matter for a signal handler.
    _ = (isBeginning.load(ordering: .relaxed), pending.load(ordering: .relaxed))
    _ = path.load(ordering: .relaxed)
    // A file above the limit of sizes is an error like others, not the end.
    signal(SIGXFSZ, SIG_IGN)
    for number in [SIGINT, SIGQUIT, SIGTERM, SIGHUP] {
      let former = signal(number, SIG_IGN)
      if unsafeBitCast(former, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { continue }
      signal(number) { number in
        Interruption.pending.store(number, ordering: .sequentiallyConsistent)
        // Whoever begins a file looks for a signal afterwards.
        if !Interruption.isBeginning.load(ordering: .sequentiallyConsistent) {
          Interruption.end(number)
        }
      }
    }
  }

  /// Begins the command's one file; `path` says where it is until it is finished.
  static func guarding<Output>(
    _ path: (Output) -> String, begin: () throws -> Output
  ) rethrows -> Output {
    isBeginning.store(true, ordering: .sequentiallyConsistent)
    defer {
      isBeginning.store(false, ordering: .sequentiallyConsistent)
      let number = pending.load(ordering: .sequentiallyConsistent)
      if number != 0 { end(number) }
    }
    let output = try begin()
    let address = UInt(bitPattern: strdup(path(output)))
    self.path.store(address, ordering: .sequentiallyConsistent)
    return output
  }

  private static func end(_ number: Int32) {
    if let path = UnsafePointer<CChar>(bitPattern: path.load(ordering: .sequentiallyConsistent)) {
      unlink(path)
    }
    signal(number, SIG_DFL)
    var mask = sigset_t()
    sigemptyset(&mask)
    sigaddset(&mask, number)
    pthread_sigmask(SIG_UNBLOCK, &mask, nil)
    raise(number)
  }
}
