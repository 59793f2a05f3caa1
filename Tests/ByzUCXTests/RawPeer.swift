import ByzRuntime
import ByzUCX
import CByzUCX

#if canImport(Glibc)
  import Glibc
#endif

/// A client that says what it likes: parts of messages that ByzKit would not send.
///
/// Used by one task, which calls nothing else between its own calls.
final class RawPeer {
  private var context: OpaquePointer?
  private var worker: OpaquePointer?

  init(port: Int) throws {
    try UCX.load()
    _ = byz_ucx_context_create(nil, &context)
    let events = byz_ucx_events(
      owner: nil, allocate: { _, _, _ in nil }, received: { _, _, _ in }, sent: { _, _, _ in },
      malformed: { _ in }, failed: { _, _ in }, requested: { _, _ in })
    guard let context, byz_ucx_worker_create(context, events, &worker) == 0 else {
      throw RuntimeError(.transportUnavailable, "No worker")
    }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let status = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        byz_ucx_connect(worker!, $0, socklen_t(MemoryLayout<sockaddr_in>.size), true)
      }
    }
    guard status == 0 else { throw RuntimeError(.workerStartFailed, "Not connected") }
  }

  /// Sends one part with zeros in it, eagerly.
  func send(frame: UInt64, index: UInt32, count: UInt32, byteCount: Int) {
    let bytes = [UInt8](repeating: 0, count: byteCount)
    let part = byz_ucx_part(frame: frame, index: index, count: count)
    _ = byz_ucx_send(worker!, part, bytes, byteCount, true)
  }

  /// Works until `isDone`, which `bell` accompanies: another thread decides.
  func work(until isDone: () -> Bool) {
    while !isDone() {
      if !byz_ucx_progress(worker!), byz_ucx_arm(worker!) { byz_ucx_sleep(worker!, true, 5) }
    }
  }

  /// Is gone without a word.
  func vanish() {
    if let worker { byz_ucx_worker_destroy(worker) }
    if let context { byz_ucx_context_destroy(context) }
    (worker, context) = (nil, nil)
  }

  deinit { vanish() }
}
