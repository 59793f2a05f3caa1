import ByzTCP
import Foundation

/// A socket that speaks as badly as it likes.
final class RawSocket: Sendable {
  private let descriptor: Int32

  struct Failure: Error { let code = errno }

  /// Connects to a port of the loopback interface.
  init(connectingTo address: TCPAddress) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Failure() }
    // A server that should close and does not fails the test instead of hanging it.
    var limit = timeval(tv_sec: 30, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    guard withLoopback(port: address.port, { connect(descriptor, $0, $1) }) == 0 else {
      throw Failure()
    }
  }

  /// Listens on a port of the loopback interface and never answers.
  init(listening: Void) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0, withLoopback(port: 0, { bind(descriptor, $0, $1) }) == 0,
      listen(descriptor, 16) == 0
    else { throw Failure() }
  }

  deinit { close(descriptor) }

  var port: Int { RawSocket.port(of: descriptor, getsockname) ?? 0 }

  /// Returns whether all was taken; a peer that has closed takes nothing.
  @discardableResult
  func send(_ bytes: some Sequence<UInt8>) -> Bool {
    let bytes = Array(bytes)
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Foundation.send(
          descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  /// Waits for so many bytes; fewer when the peer closes.
  func receive(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      var piece = [UInt8](repeating: 0, count: count - bytes.count)
      let size = recv(descriptor, &piece, piece.count, 0)
      if size < 0 && errno == EINTR { continue }
      guard size > 0 else { break }
      bytes += piece[..<size]
    }
    return bytes
  }

  /// Whether the other side has closed the connection by now, without having said anything.
  var isClosedNow: Bool {
    var byte: UInt8 = 0
    return recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT)) >= 0
  }

  /// Waits until the peer closes; returns whether it did. On a thread of its own, so that other
  /// tests go on meanwhile.
  func isClosedByPeer() async -> Bool {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: self.readToEnd()) }
    }
  }

  private func readToEnd() -> Bool {
    var byte = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = recv(descriptor, &byte, byte.count, 0)
      if count == 0 || count < 0 && errno == ECONNRESET { return true }
      // A process that is stopped and goes on finds its waits interrupted.
      if count < 0 && errno != EINTR { return false }
    }
  }

  /// Closes with a reset instead of an orderly end, when it goes.
  func resetAtEnd() {
    var abrupt = linger(l_onoff: 1, l_linger: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_LINGER, &abrupt, socklen_t(MemoryLayout<linger>.size))
  }

  /// How many sockets of this process have that port on either side.
  static func count(onPort port: Int) -> Int {
    (0..<Int32(getdtablesize())).filter {
      self.port(of: $0, getsockname) == port || self.port(of: $0, getpeername) == port
    }.count
  }

  private static func port(
    of descriptor: Int32,
    _ ask: (Int32, UnsafeMutablePointer<sockaddr>?, UnsafeMutablePointer<socklen_t>?) -> Int32
  ) -> Int? {
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask(descriptor, $0, &size) }
    }
    guard result == 0, address.sin_family == sa_family_t(AF_INET) else { return nil }
    return Int(in_port_t(bigEndian: address.sin_port))
  }
}

private func withLoopback<R>(port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = in_port_t(port).bigEndian
  address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
  return withUnsafePointer(to: &address) {
    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
    }
  }
}
