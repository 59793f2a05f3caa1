import ByzAuthentication
import ByzRuntime
import ByzTCP
import ByzTensor
import Foundation
import Testing

/// The sum of one of the input tensors.
struct Sum: Subtask {
  var input: Int

  func run(_ operands: Operands) throws -> Double {
    guard case .float32(let tensor) = operands.inputs[input] else { return .nan }
    return tensor.withUnsafeBufferPointer { $0.reduce(0) { $0 + Double($1) } }
  }
}

/// One of the input tensors, twice as long.
struct Doubled: Subtask {
  var input: Int

  func run(_ operands: Operands) throws -> Tensor<Float> {
    guard case .float32(let tensor) = operands.inputs[input] else { throw CancellationError() }
    return Tensor(tensor.withUnsafeBufferPointer { $0.map { 2 * $0 } })
  }
}

@Suite("Workers over TCP", .timeLimit(.minutes(5)))
struct TCPWorkerTests {
  /// A host of workers that know how to sum.
  func withHost<R>(
    _ options: TCPListenerOptions, _ body: (TCPAddress) async throws -> R
  ) async throws -> R {
    try await withTCPListener(
      options: options,
      accept: { link, authenticator in
        // Ends with its link, which the listener closes.
        Task {
          await serveAsWorker(
            link, registry: Registry(subtasks: [Sum.self, Doubled.self]),
            authenticator: authenticator)
        }
      }, body: body)
  }

  @Test(
    "run subtasks on tensors, plainly or with certificates and a token", arguments: [false, true])
  func pool(encrypted: Bool) async throws {
    let token = encrypted ? try Token("0123456789abcdef".utf8) : nil
    let server = TCPListenerOptions(tls: encrypted ? Certificates.tls("server") : nil, token: token)
    let client = TCPOptions(tls: encrypted ? Certificates.tls("client") : nil, token: token)
    try await withHost(server) { address in
      let tensors = (1...4).map { number in
        Tensor<Float>([Float](repeating: Float(number), count: 50_000))
      }
      try await withActorPool(
        WorkerConfiguration(backend: .tcp("\(address)", client), count: 2)
      ) { pool in
        let sums = try await pool.run(
          tensors.indices.map { Sum(input: $0) },
          operands: Operands(inputs: tensors.map { AnyTensor.float32($0) }))
        #expect(sums == [50_000, 100_000, 150_000, 200_000])
        let doubled = try await pool.run(
          [Doubled(input: 0)], operands: Operands(inputs: [.float32(tensors[0])]))
        #expect(doubled == [tensors[1]])
      }
    }
  }

  @Test("refuse who does not hold their token")
  func wrongToken() async throws {
    try await withHost(TCPListenerOptions(token: Token("0123456789abcdef".utf8))) { address in
      for token in [try Token("0123456789abcdeF".utf8), nil] {
        var options = TCPOptions(token: token)
        options.retry.attempts = 1
        await #expect(throws: RuntimeError.self) {
          try await withActorPool(WorkerConfiguration(backend: .tcp("\(address)", options))) {
            try await $0.run([Sum(input: 0)])
          }
        }
      }
    }
  }

  /// A whole host of workers that asks for a token. Strangers and friends have one address here, which a limit for an address would
  /// refuse to both.
  private func withServer(
    _ options: TCPListenerOptions = TCPListenerOptions(), ends: Monitor<[RuntimeError]>? = nil,
    _ body: (TCPAddress, WorkerConfiguration) async throws -> Void
  ) async throws {
    let token = try Token("0123456789abcdef".utf8)
    var options = options
    options.token = token
    options.maxConnectionsPerAddress = 1000
    options.maxAcceptsPerSecondPerAddress = 100_000
    var hosting = WorkerServerOptions()
    // Whoever is too slow hears so of the listener.
    hosting.liveness.opening = options.handshakeTimeout * 2
    hosting.observer = { event in
      if case .ended(_, let reason) = event { ends?.withLock { $0.append(reason) } }
    }
    try await withWorkerServer(
      registry: Registry(subtasks: [Sum.self]), listener: options, options: hosting
    ) { server in
      try await body(
        try TCPAddress(server.address),
        WorkerConfiguration(backend: .tcp(server.address, TCPOptions(token: token))))
    }
  }

  private func expectService(from pool: ActorPool) async throws {
    let operands = Operands(inputs: [.float32(Tensor<Float>(repeating: 1, shape: [1000]))])
    #expect(try await pool.run([Sum(input: 0)], operands: operands) == [1000])
  }

  @Test(
    "go on serving while strangers send garbage, calls without a proof, beginnings without an end and sizes beyond the limits"
  )
  func strangers() async throws {
    var options = TCPListenerOptions()
    // Nobody is shown out for being slow.
    options.handshakeTimeout = .seconds(3600)
    options.progressInterval = .seconds(3600)
    try await withServer(options) { address, workers in
      try await withActorPool(workers) { pool in
        // They stay connected, those that the server lets.
        var (wrong, patient): ([RawSocket], [RawSocket]) = ([], [])
        for round in 0..<100 {
          var bytes = Frame.head(of: Message(.call, call: 1, body: [1, 2, 3]))
          switch round % 4 {
          case 0:
            var dice = RandomStream(RandomKey(UInt64(round)))
            bytes = (0..<64).map { _ in UInt8(dice.integer(below: 256)) }
          case 1: bytes.removeLast(2)
          case 2: bytes.replaceSubrange(8..<12, with: [0xff, 0xff, 0xff, 0x7f])
          default: break
          }
          let stranger = try RawSocket(connectingTo: address)
          stranger.send(bytes)
          if round % 4 == 1 { patient.append(stranger) } else { wrong.append(stranger) }
          try await expectService(from: pool)
        }
        // Whoever says something wrong is shown out; who has said half of something is waited for.
        for stranger in wrong { #expect(await stranger.isClosedByPeer()) }
        for stranger in patient { #expect(!stranger.isClosedNow) }
      }
      // And someone new who holds the token.
      try await withActorPool(workers) { try await expectService(from: $0) }
    }
  }

  @Test("refuse what an honest client said, said again, and go on serving it")
  func replay() async throws {
    try await withServer { address, workers in
      let honest = Client(link: try await TCPBackend(address).openLink(named: "test"))
      var authenticator = TokenAuthenticator(
        role: .client, token: try Token("0123456789abcdef".utf8))
      let opening = try unwrap(authenticator.begin())
      honest.link.send(Message(.authentication, body: opening))
      let answer = try await honest.inbox.message()
      let proof = try unwrap(try authenticator.receive(answer.body).reply)
      honest.link.send(Message(.authentication, body: proof))
      // Then the host is known to the client, and says what it is.
      let step = try authenticator.receive(try await honest.inbox.message().body)
      #expect(step.isDone)
      #expect(try await honest.inbox.message().kind == .hello)

      for _ in 0..<3 {
        let stranger = Client(link: try await TCPBackend(address).openLink(named: "test"))
        for body in [opening, proof] {
          stranger.link.send(Message(.authentication, body: body))
        }
        // If anything comes it is another challenge, and nothing after it: no proof, no hello.
        var isOpen = true
        while isOpen {
          switch await stranger.inbox.next() {
          case .message(let message)?:
            #expect(message.kind == .authentication && message.body.first == answer.body.first)
            #expect(message.body != answer.body)
          case .closed?, nil: isOpen = false
          }
        }
      }
      honest.link.close(RuntimeError(.stopped, "Done."))
      try await withActorPool(workers) { try await expectService(from: $0) }
    }
  }

  @Test("end the connections of those who write a byte at a time, and go on serving")
  func slowWriters() async throws {
    var options = TCPListenerOptions()
    options.handshakeTimeout = .seconds(15)
    options.progressInterval = .seconds(600)
    let ends = Monitor<[RuntimeError]>([])
    try await withServer(options, ends: ends) { address, workers in
      let message = Frame.head(
        of: Message(.authentication, body: [1, 1] + [UInt8](repeating: 0, count: 60_000)))
      try await withActorPool(workers) { pool in
        try await expectService(from: pool)
        var open = try (0..<20).map { _ in try RawSocket(connectingTo: address) }
        let start = ContinuousClock.now
        // Never silent for long, so that a limit on silence alone would not end them.
        for byte in message where !open.isEmpty && .now - start < .seconds(100) {
          open.removeAll { !$0.send([byte]) }
          try await expectService(from: pool)
          try await Task.sleep(for: .milliseconds(20))
        }
        #expect(open.isEmpty)
        // The server hears of an end a little later than the other side.
        while ends.withLock({ $0.count }) < 20 {
          try Task.checkCancellation()
          try await expectService(from: pool)
        }
        let reasons = ends.withLock { $0 }
        #expect(reasons.allSatisfy { $0.message.contains("handshakeTimeout") }, "\(reasons)")
      }
    }
  }

  @Test("serve an honest client while thousands of connections are opened and dropped")
  func storm() async throws {
    let count = ProcessInfo.processInfo.environment["BYZKIT_CAMPAIGN"] == nil ? 1_000 : 10_000
    var options = TCPListenerOptions()
    options.handshakeTimeout = .seconds(20)
    var port = 0
    try await withServer(options) { address, workers in
      port = address.port
      try await withActorPool(workers) { pool in
        var kept: [RawSocket] = []
        for number in 0..<count {
          let socket = try RawSocket(connectingTo: address)
          switch number % 5 {
          case 0: break
          case 1: socket.resetAtEnd()
          case 2: socket.send([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 500))
          case 3: socket.send(Frame.head(of: Message(.authentication, body: [1, 1])).dropLast())
          default: kept.append(socket)
          }
          if kept.count > 100 { kept.removeFirst(50) }
          if number.isMultiple(of: 10) { try await expectService(from: pool) }
        }
        kept = []
        // Every one of them ends; the listener and the honest client's two ends stay.
        while RawSocket.count(onPort: port) > 3 { try await expectService(from: pool) }
        #expect(pool.statistics.map(\.losses) == [0])
      }
    }
    #expect(RawSocket.count(onPort: port) == 0)
  }

  @Test("refuse calls beyond what the listener allows one peer")
  func limits() async throws {
    var server = TCPListenerOptions()
    server.limits.calls = 0
    try await withHost(server) { address in
      let workers = WorkerConfiguration(backend: .tcp("\(address)"))
      let error = await #expect(throws: RuntimeError.self) {
        try await withActorPool(workers) { try await $0.run([Sum(input: 0)]) }
      }
      #expect(error?.code == .limitExceeded)
    }
  }
}
