import ByzRuntime
import CByzSystem
import Glibc

/// A TCP proxy on the loopback interface whose connections can be delayed, stalled and reset: one thread, one poll.
final class Proxy: Sendable {
  /// Where to connect to.
  let port: Int
  private let state: Monitor<State>
  /// A byte here wakes the thread; the end ends it.
  private let waker: CInt
  private let thread: Promise

  private struct State {
    var target: Int
    var delay: Duration = .zero
    var stalledUntil: Duration = .zero
    var wantsReset = false
    var isStopped = false
  }

  /// Something that happens once.
  private final class Promise: Sendable {
    private let isDone = Monitor(false)

    func fulfil() {
      isDone.withLock { $0 = true }
      isDone.signal()
    }

    func wait() { _ = isDone.wait { $0 ? true : nil } }
  }

  init(to target: Int) throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = Self.address(0)
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, size) == 0 && listen(listener, 64) == 0
          && getsockname(listener, $0, &size) == 0
      }
    }
    var sockets: (CInt, CInt) = (-1, -1)
    let status = withUnsafeMutableBytes(of: &sockets) {
      byz_socket_pair($0.assumingMemoryBound(to: CInt.self).baseAddress!)
    }
    guard isListening, status == 0 else { throw FaultFailure("The proxy could not listen.") }
    port = Int(UInt16(bigEndian: address.sin_port))
    state = Monitor(State(target: target))
    waker = sockets.0
    thread = Promise()
    let (loop, done, state) = (ProxyLoop(listener, sockets.1), thread, state)
    Thread.start {
      while true {
        let orders = state.withLock { state in
          defer { state.wantsReset = false }
          return state
        }
        if orders.isStopped { break }
        if orders.wantsReset { loop.reset() }
        loop.turn(
          target: orders.target, delay: orders.delay, stalledUntil: orders.stalledUntil)
      }
      loop.close()
      done.fulfil()
    }
  }

  /// Leads new connections elsewhere.
  func lead(to target: Int) { tell { $0.target = target } }
  /// Everything takes so much longer from now on.
  func delay(by delay: Duration) { tell { $0.delay = delay } }
  /// Nothing moves for so long.
  func stall(for duration: Duration) { tell { $0.stalledUntil = Alarm.now + duration } }
  /// Breaks all connections.
  func reset() { tell { $0.wantsReset = true } }

  /// Ends the proxy; nothing of it is left when this returns.
  func stop() {
    tell { $0.isStopped = true }
    thread.wait()
    byz_close(waker)
  }

  private func tell(_ change: (inout State) -> Void) {
    state.withLock { change(&$0) }
    var byte: UInt8 = 0
    _ = send(waker, &byte, 1, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
  }

  static func address(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
  }
}

/// What the proxy's thread does; nobody else touches it.
private final class ProxyLoop: @unchecked Sendable {
  // `@unchecked`: made by one thread and handed to another, which alone uses it from then on.
  private let listener: CInt
  private let waker: CInt
  private var pipes: [Pipe] = []

  /// One direction of one connection.
  private struct Pipe {
    let from: CInt
    let to: CInt
    var chunks: [(due: Duration, bytes: [UInt8])] = []
    var byteCount = 0
    var hasEnded = false
  }

  init(_ listener: CInt, _ waker: CInt) {
    self.listener = listener
    self.waker = waker
  }

  func close() {
    for pipe in pipes { byz_close(pipe.from) }
    pipes = []
    byz_close(listener)
    byz_close(waker)
  }

  func reset() {
    for pipe in pipes { drop(pipe.from) }
    pipes = []
  }

  /// Closes so that the other side sees a reset.
  private func drop(_ socket: CInt) {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    byz_close(socket)
  }

  /// Waits for something to do, and does it.
  func turn(target: Int, delay: Duration, stalledUntil: Duration) {
    let now = Alarm.now
    let isStalled = now < stalledUntil
    var polls = [
      pollfd(fd: waker, events: Int16(POLLIN), revents: 0),
      pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
    ]
    var next = isStalled ? stalledUntil : now + .seconds(60)
    for pipe in pipes {
      let mayRead = !isStalled && !pipe.hasEnded && pipe.byteCount < 4 << 20
      polls.append(pollfd(fd: mayRead ? pipe.from : -1, events: Int16(POLLIN), revents: 0))
      let isDue = !isStalled && pipe.chunks.first.map { $0.due <= now } ?? false
      polls.append(pollfd(fd: isDue ? pipe.to : -1, events: Int16(POLLOUT), revents: 0))
      if let due = pipe.chunks.first?.due, due > now { next = min(next, due) }
    }
    let (seconds, attoseconds) = (next - now).components
    let wait = seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1
    guard poll(&polls, nfds_t(polls.count), CInt(clamping: wait)) >= 0 else { return }
    if polls[0].revents != 0 {
      var bytes = [UInt8](repeating: 0, count: 64)
      _ = recv(waker, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    }
    var broken: Set<CInt> = []
    for index in pipes.indices {
      if polls[2 + 2 * index].revents != 0, !read(index, due: Alarm.now + delay) {
        broken.insert(pipes[index].from)
      }
      if polls[3 + 2 * index].revents != 0, !write(index) { broken.insert(pipes[index].from) }
    }
    remove(broken)
    if polls[1].revents != 0 { accept(target) }
  }

  private func read(_ index: Int, due: Duration) -> Bool {
    var bytes = [UInt8](repeating: 0, count: 64 << 10)
    let count = recv(pipes[index].from, &bytes, bytes.count, Int32(MSG_DONTWAIT))
    guard count > 0 else { return count < 0 && (errno == EAGAIN || errno == EINTR) }
    pipes[index].chunks.append((due, Array(bytes[..<count])))
    pipes[index].byteCount += count
    return true
  }

  private func write(_ index: Int) -> Bool {
    guard let bytes = pipes[index].chunks.first?.bytes else { return true }
    let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
    let count = send(pipes[index].to, bytes, bytes.count, flags)
    guard count > 0 else { return errno == EAGAIN || errno == EINTR }
    pipes[index].byteCount -= count
    if count == bytes.count {
      pipes[index].chunks.removeFirst()
    } else {
      pipes[index].chunks[0].bytes.removeFirst(count)
    }
    return true
  }

  /// An end of one direction is the end of both: the protocol closes connections whole.
  private func remove(_ broken: Set<CInt>) {
    for index in pipes.indices where broken.contains(pipes[index].from) {
      for other in [pipes[index].from, pipes[index].to] {
        guard pipes.contains(where: { $0.from == other && !$0.hasEnded }) else { continue }
        for same in pipes.indices where pipes[same].from == other { pipes[same].hasEnded = true }
        byz_close(other)
      }
    }
    pipes.removeAll { $0.hasEnded }
  }

  private func accept(_ target: Int) {
    let client = Glibc.accept(listener, nil, nil)
    guard client >= 0 else { return }
    _ = byz_close_on_exec(client)
    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = Proxy.address(target)
    let isConnected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    guard isConnected else {
      byz_close(server)
      return drop(client)
    }
    pipes += [Pipe(from: client, to: server), Pipe(from: server, to: client)]
  }
}

/// A thread of its own for what waits in the system.
enum Thread {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  static func start(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let argument = Unmanaged.passRetained(Body(body)).toOpaque()
    let status = pthread_create(
      &thread, nil,
      { argument in
        let argument: UnsafeMutableRawPointer? = argument
        pthread_detach(pthread_self())
        if let file = fopen("/proc/thread-self/comm", "w") {
          fputs("fault-proxy", file)
          fclose(file)
        }
        Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
        return nil
      }, argument)
    precondition(status == 0, "The system has no thread to give.")
  }
}

/// A promise that was broken, or a campaign that could not be set up.
struct FaultFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
