import ByzAuthentication
import ByzRuntime
import ByzTCP
import ByzTensor
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

@Suite("Workers over TCP", .timeLimit(.minutes(2)))
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

  @Test(
    "go on serving while strangers send garbage, calls without a proof, beginnings without an end and sizes beyond the limits"
  )
  func strangers() async throws {
    let token = try Token("0123456789abcdef".utf8)
    // Strangers and friends have one address here, which a limit for an address would refuse to both.
    var listener = TCPListenerOptions(token: token)
    listener.maxConnectionsPerAddress = 1000
    listener.maxAcceptsPerSecondPerAddress = 10_000
    try await withWorkerServer(registry: Registry(subtasks: [Sum.self]), listener: listener) {
      server in
      let address = try TCPAddress(server.address)
      let workers = WorkerConfiguration(backend: .tcp(server.address, TCPOptions(token: token)))
      let operands = Operands(inputs: [.float32(Tensor<Float>(repeating: 1, shape: [1000]))])
      func serves(_ pool: ActorPool) async throws {
        #expect(try await pool.run([Sum(input: 0)], operands: operands) == [1000])
      }
      try await withActorPool(workers) { pool in
        // They stay connected, those that the server lets.
        var connected: [RawSocket] = []
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
          connected.append(stranger)
          try await serves(pool)
        }
      }
      // And someone new who holds the token.
      try await withActorPool(workers) { try await serves($0) }
    }
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
