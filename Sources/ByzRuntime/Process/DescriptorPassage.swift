internal import CByzSystem

/// One end of a way by which a process passes open descriptors to its child, each under a number. A socket beside the link's own, since
/// a stream's bytes and the descriptors among them are hard to keep together.
package final class DescriptorPassage: Sendable {
  private let socket: CInt
  /// What has come and was not asked for yet.
  private let arrived = Monitor<[UInt64: CInt]>([:])

  /// Takes over the socket.
  package init(socket: CInt) { self.socket = socket }

  deinit {
    for descriptor in arrived.withLock({ $0.values }) { byz_close(descriptor) }
    byz_close(socket)
  }

  /// Passes a copy of the descriptor on; whether the other end has room for it.
  package func pass(_ descriptor: CInt, as number: UInt64) -> Bool {
    byz_pass_descriptor(socket, number, descriptor) == 0
  }

  /// The descriptor that was passed under a number before this was called, now the caller's; nil when there is none.
  package func take(_ number: UInt64) -> CInt? {
    arrived.withLock { arrived in
      var next: UInt64 = 0
      while arrived[number] == nil {
        let descriptor = byz_take_descriptor(socket, &next)
        guard descriptor >= 0 else { return nil }
        if let old = arrived.updateValue(descriptor, forKey: next) { byz_close(old) }
      }
      return arrived.removeValue(forKey: number)
    }
  }
}

extension ProcessLink {
  /// Passes each of two children one end of a new socket pair, under one number.
  static func connect(_ one: ProcessLink, _ other: ProcessLink, as number: UInt64) -> Bool {
    guard let passage = one.passage, let otherPassage = other.passage else { return false }
    var sockets: (CInt, CInt) = (-1, -1)
    let status = withUnsafeMutableBytes(of: &sockets) {
      byz_socket_pair($0.assumingMemoryBound(to: CInt.self).baseAddress!)
    }
    guard status == 0 else { return false }
    defer {
      byz_close(sockets.0)
      byz_close(sockets.1)
    }
    // If only one gets its end, it finds the other closed.
    let isPassed = passage.pass(sockets.0, as: number)
    return otherPassage.pass(sockets.1, as: number) || isPassed
  }
}
