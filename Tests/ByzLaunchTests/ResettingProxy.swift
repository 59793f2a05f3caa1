import Foundation

/// A TCP proxy on the loopback interface that breaks its connections when it is told to, as a router that has restarted does.
final class ResettingProxy: Sendable {
  struct Failure: Error {}

  let port: UInt16
  private let listener: Int32
  private let target: UInt16
  private let lock = NSLock()
  /// Guarded by the lock.
  nonisolated(unsafe) private var sockets: [Int32] = []
  nonisolated(unsafe) private var isStopped = false
  nonisolated(unsafe) private var isRefusing = false
  nonisolated(unsafe) private var refusals = 0

  init(to target: Int) throws {
    self.target = UInt16(target)
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = Self.loopback(0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = withUnsafeMutablePointer(to: &address) { [listener] pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, size) == 0 && listen(listener, 16) == 0
          && getsockname(listener, $0, &size) == 0
      }
    }
    guard isListening else { throw Failure() }
    port = UInt16(bigEndian: address.sin_port)
    Thread.detachNewThread { [self] in
      // A connection that could not be taken is no reason to end.
      while lock.withLock({ !isStopped }) {
        let near = accept(listener, nil, nil)
        guard near >= 0 else { continue }
        let isRefused = lock.withLock {
          refusals += isRefusing ? 1 : 0
          return isRefusing
        }
        if isRefused { close(near) } else { admit(near) }
      }
      close(listener)
    }
  }

  /// Whether new connections are closed as soon as they are there, as a proxy does whose target is gone.
  func setRefusing(_ isRefusing: Bool) { lock.withLock { self.isRefusing = isRefusing } }

  /// How many connections have been closed so.
  var refusalCount: Int { lock.withLock { refusals } }

  /// Breaks all connections: both sides are told by a reset.
  func reset() {
    // Under the lock, or a number could be another socket's by then.
    lock.withLock {
      for descriptor in sockets {
        var linger = linger(l_onoff: 1, l_linger: 0)
        setsockopt(
          descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<linger>.size))
        shutdown(descriptor, Int32(SHUT_RDWR))
      }
    }
  }

  /// Takes no more connections and breaks those there are.
  func stop() {
    lock.withLock {
      // Once: the number may be another socket's afterwards.
      if !isStopped { shutdown(listener, Int32(SHUT_RDWR)) }
      isStopped = true
    }
    reset()
  }

  private func admit(_ near: Int32) {
    let far = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = Self.loopback(target)
    let isConnected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(far, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    guard isConnected else {
      close(near)
      close(far)
      return
    }
    lock.withLock { sockets += [near, far] }
    let directions = DispatchGroup()
    for (from, to) in [(near, far), (far, near)] {
      directions.enter()
      Thread.detachNewThread {
        Self.pump(from, to)
        directions.leave()
      }
    }
    directions.notify(queue: .global()) { [self] in
      lock.withLock { sockets.removeAll { $0 == near || $0 == far } }
      close(near)
      close(far)
    }
  }

  private static func pump(_ from: Int32, _ to: Int32) {
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = recv(from, &bytes, bytes.count, 0), count > 0 {
      var sent = 0
      while sent < count {
        let size = bytes.withUnsafeBytes {
          send(to, $0.baseAddress! + sent, count - sent, Int32(MSG_NOSIGNAL))
        }
        guard size > 0 else { break }
        sent += size
      }
    }
    shutdown(to, Int32(SHUT_RDWR))
  }

  private static func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}
