import CByzSystem
import Foundation

/// What the machine itself takes for two changes of threads: a byte goes through a socket pair to a thread that sends it back.
final class SocketEcho: Sendable {
  private let near: CInt
  private let far: CInt

  init() throws {
    var sockets: (CInt, CInt) = (-1, -1)
    let status = withUnsafeMutableBytes(of: &sockets) {
      byz_socket_pair($0.assumingMemoryBound(to: CInt.self).baseAddress!)
    }
    guard status == 0 else { throw BenchmarkError.server("no socket pair") }
    (near, far) = sockets
    let far = far
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while read(far, &byte, 1) == 1, write(far, &byte, 1) == 1 {}
      close(far)
    }
  }

  deinit { close(near) }

  func roundTrip() {
    var byte: UInt8 = 1
    _ = write(near, &byte, 1)
    _ = read(near, &byte, 1)
  }

  func stop() { byz_shut_down(near, true) }
}
