import CByzSystem
import Foundation

/// What the machine itself takes: bytes go through a socket to another thread, which sends one back when all have come.
final class SocketEcho: Sendable {
  enum Kind: String {
    case pair = "two threads, socket pair"
    case tcp = "two threads, TCP"
  }

  private let near: CInt
  private let bytes: [UInt8]

  init(_ kind: Kind, byteCount: Int = 1) throws {
    let (near, far) = try kind == .pair ? Self.pair() : Self.connection()
    self.near = near
    bytes = [UInt8](repeating: 1, count: byteCount)
    Thread.detachNewThread {
      var room = [UInt8](repeating: 0, count: byteCount)
      repeat {
        var arrived = 0
        while arrived < byteCount {
          let count = room.withUnsafeMutableBytes {
            read(far, $0.baseAddress! + arrived, min(byteCount - arrived, 512 << 10))
          }
          guard count > 0 else {
            close(far)
            return
          }
          arrived += count
        }
      } while write(far, room, 1) == 1
      close(far)
    }
  }

  deinit { close(near) }

  func roundTrip() {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes {
        write(near, $0.baseAddress! + written, min(bytes.count - written, 256 << 10))
      }
      guard count > 0 else { return }
      written += count
    }
    var byte: UInt8 = 0
    _ = read(near, &byte, 1)
  }

  func stop() { byz_shut_down(near, true) }

  private static func pair() throws -> (CInt, CInt) {
    var sockets: (CInt, CInt) = (-1, -1)
    let status = withUnsafeMutableBytes(of: &sockets) {
      byz_socket_pair($0.assumingMemoryBound(to: CInt.self).baseAddress!)
    }
    guard status == 0 else { throw BenchmarkError.server("no socket pair") }
    return sockets
  }

  /// Both ends of a connection over loopback.
  private static func connection() throws -> (CInt, CInt) {
    let listener = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(INADDR_LOOPBACK).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let near = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    let isConnected = withUnsafeMutableBytes(of: &address) {
      let address = $0.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      return bind(listener, address, size) == 0 && listen(listener, 1) == 0
        && getsockname(listener, address, &size) == 0 && connect(near, address, size) == 0
    }
    guard isConnected else { throw BenchmarkError.server("no connection over loopback") }
    var isOn: CInt = 1
    let far = accept(listener, nil, nil)
    for end in [near, far] {
      setsockopt(
        end, CInt(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(MemoryLayout<CInt>.size))
    }
    return (near, far)
  }
}
