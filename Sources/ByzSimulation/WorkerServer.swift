import ByzRuntime
import ByzTensor

/// A piece of work in the simulation: three numbers in, one out, which anybody can check.
struct Work: Hashable {
  var a: UInt64
  var b: UInt64
  var c: UInt64
  /// Microseconds it takes.
  var duration = 1_000
  /// Whether it throws.
  var fails = false

  var result: UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for number in [a, b, c] { hash = (hash ^ number) &* 0x100_0000_01B3 ^ hash >> 29 }
    return hash
  }

  var body: [UInt8] {
    WireValue.array([
      .unsigned(a), .unsigned(b), .unsigned(c), .int(Int64(duration)), .bool(fails),
    ]).serialized()
  }

  init(_ a: Int, _ b: Int, _ c: UInt64, duration: Int = 1_000, fails: Bool = false) {
    (self.a, self.b, self.c) = (UInt64(a), UInt64(b), c)
    self.duration = duration
    self.fails = fails
  }

  init?(parsing body: [UInt8]) {
    guard case .array(let parts) = try? WireValue(parsing: body, limits: WireLimits()),
      parts.count == 5, case .unsigned(let a) = parts[0], case .unsigned(let b) = parts[1],
      case .unsigned(let c) = parts[2], case .int(let duration) = parts[3],
      case .bool(let fails) = parts[4]
    else { return nil }
    (self.a, self.b, self.c) = (a, b, c)
    (self.duration, self.fails) = (Int(duration), fails)
  }
}

/// What a worker's host does for one connection: one piece of work after another.
final class WorkerServer {
  private unowned let endpoint: Endpoint
  private unowned let world: World
  private var waiting: [Message] = []
  private var cancelled: Set<UInt64> = []
  private var isBusy = false

  init(_ endpoint: Endpoint, in world: World) {
    self.endpoint = endpoint
    self.world = world
    // The endpoint keeps the server.
    endpoint.serve = { message in
      self.waiting.append(message)
      self.next()
    }
    endpoint.cancelServing = { self.cancelled.insert($0) }
  }

  private func next() {
    guard !isBusy, !waiting.isEmpty else { return }
    let call = waiting.removeFirst()
    guard !cancelled.contains(call.call) else { return finish(call, .failure) }
    guard let work = Work(parsing: call.body) else {
      return world.violate("A call arrived changed.")
    }
    isBusy = true
    let endpoint = endpoint
    world.timeline.after(work.duration) { [unowned self] in
      endpoint.run { [unowned self] in
        isBusy = false
        finish(call, work.fails ? .failure : .reply, work)
      }
    }
  }

  private func finish(_ call: Message, _ kind: Message.Kind, _ work: Work? = nil) {
    var answer = Message(kind, call: call.call)
    if kind == .reply, let work {
      var sum: UInt64 = 0
      for segment in call.segments {
        segment.withUnsafeBytes { for byte in $0 { sum &+= UInt64(byte) } }
      }
      answer.body =
        Reply(
          result: work.result &+ sum, connection: endpoint.cable.number, call: call.call
        ).body
    }
    endpoint.answer(answer)
    next()
  }
}

/// What a reply says: the result, and where it belongs.
struct Reply: Hashable {
  var result: UInt64
  var connection: Int
  var call: UInt64

  var body: [UInt8] {
    WireValue.array([.unsigned(result), .unsigned(UInt64(connection)), .unsigned(call)])
      .serialized()
  }

  init(result: UInt64, connection: Int, call: UInt64) {
    self.result = result
    self.connection = connection
    self.call = call
  }

  init?(parsing body: [UInt8]) {
    guard case .array(let parts) = try? WireValue(parsing: body, limits: WireLimits()),
      parts.count == 3, case .unsigned(let result) = parts[0],
      case .unsigned(let connection) = parts[1], case .unsigned(let call) = parts[2]
    else { return nil }
    self.init(result: result, connection: Int(connection), call: call)
  }
}

extension Route {
  /// Opens a connection: `done` is called once, with the client's end or why there is none.
  ///
  /// - Parameter names: what the two sides call themselves; nil for their hosts' numbers.
  func connect(
    in world: World, names: (client: UInt64, server: UInt64)? = nil,
    serve: @escaping (Endpoint) -> Void,
    done: @escaping (Result<Endpoint, RuntimeError>) -> Void
  ) {
    let cable = Cable(self, in: world)
    let end = Endpoint(cable, side: 0, on: client, named: names?.client, in: world)
    var isDone = false
    end.whenOpen = { [unowned end] in
      isDone = true
      done(.success(end))
    }
    end.whenEnded = { reason in
      if !isDone { done(.failure(reason)) }
      isDone = true
    }
    // A host that is down refuses at once; one that hangs accepts, and says nothing.
    guard server.isUp else {
      world.timeline.after(500) {
        end.linkClosed(RuntimeError(.transportUnavailable, "Nobody listens."))
      }
      return
    }
    let other = Endpoint(cable, side: 1, on: server, named: names?.server, in: world)
    serve(other)
    server.whenCrashed { [weak cable] in cable?.lose(1) }
    client.whenCrashed { [weak cable] in cable?.lose(0) }
    end.start()
    other.run { other.start() }
  }
}
