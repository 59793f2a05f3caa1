import ByzKit
import ByzRuntime
import ByzTCP
import ByzTensor
import Foundation

/// The rows, group by group; within a group everything takes turns.
struct RuntimeRows {
  let server: RuntimeServerProcess
  let rounds: Int
  /// What "row, backend" must contain; nil for every row.
  let filter: String?

  /// The same calls on every backend: one caller, and 32 at once.
  func calls() async throws -> [RuntimeFigure] {
    try await withActorSystem(RuntimeSubject.registry) { system in
      let actors = try await subjects(system)
      let echoes = try [SocketEcho.Kind.pair, .tcp].map { ($0, try SocketEcho($0)) }
      defer { for (_, echo) in echoes { echo.stop() } }
      var contestants = echoes.map { kind, echo in
        RuntimeContestant(
          row: "byte there and back", backend: kind.rawValue, callsPerTurn: 100,
          call: { echo.roundTrip() })
      }
      for (backend, actor) in actors {
        let limits = ["thread": 10.0, "process": 40, "tcp": 60, "ucx": 40]
        contestants.append(
          RuntimeContestant(
            row: "small call", backend: backend, callsPerTurn: 100,
            limit: limits[backend].map(RuntimeLimit.p50),
            call: {
              guard try await actor.add(1, 2) == 3 else { throw BenchmarkError.server(backend) }
            }))
      }
      var figures = try await measure(contestants)
      let (callers, callsOfEach) = (32, 50)
      let crowds = actors.map { backend, actor in
        RuntimeContestant(
          row: "small calls of 32 callers", backend: backend, work: Double(callers * callsOfEach),
          isBatch: true, limit: backend == "process" ? .rate(60_000) : nil,
          call: {
            try await withThrowingTaskGroup(of: Void.self) { group in
              for _ in 0..<callers {
                group.addTask { for _ in 0..<callsOfEach { _ = try await actor.add(1, 2) } }
              }
              try await group.waitForAll()
            }
          })
      }
      figures += try await measure(crowds)
      return figures
    }
  }

  /// A tensor of 4 MiB as an argument.
  func tensors() async throws -> [RuntimeFigure] {
    let count = 1 << 20
    let own = Tensor<Float>((0..<count).map(Float.init))
    let shared = try own.sharedCopy()
    return try await withActorSystem(RuntimeSubject.registry) { system in
      let actors = try await subjects(system)
      let echo = try SocketEcho(.tcp, byteCount: 4 * count)
      defer { echo.stop() }
      let yardstick = RuntimeContestant(
        row: "4 MiB there and a byte back", backend: SocketEcho.Kind.tcp.rawValue, callsPerTurn: 20,
        work: Double(4 * count) / 1e9, unit: "GB/s", call: { echo.roundTrip() })
      let contestants = actors.flatMap { backend, actor in
        var ways: [(String, Tensor<Float>, RuntimeLimit?)] = []
        switch backend {
        case "thread": ways = [("4 MiB argument", own, nil)]
        case "process":
          ways = [
            ("4 MiB argument, shared already", shared, .p50(100)),
            ("4 MiB argument, copied in", own, .rate(8)),
          ]
        default:
          let rates = ["tcp": 2.5, "ucx": 6]
          ways = [("4 MiB argument", own, rates[backend].map(RuntimeLimit.rate))]
        }
        return ways.map { row, tensor, limit in
          RuntimeContestant(
            row: row, backend: backend, callsPerTurn: 20, work: Double(4 * count) / 1e9,
            unit: "GB/s", limit: limit,
            call: {
              guard try await actor.ends(tensor) == [0, Float(count - 1)] else {
                throw BenchmarkError.server(backend)
              }
            })
        }
      }
      return try await measure([yardstick] + contestants)
    }
  }

  /// A subtask of a pool with one worker.
  func subtasks() async throws -> [RuntimeFigure] {
    var backends: [(String, any WorkerBackend)] = [
      ("thread", .thread), ("process", .process), ("tcp", server.plain), ("tcp, TLS", server.tls),
    ]
    if let ucx = server.ucx { backends.append(("ucx", ucx)) }
    return try await subtasks(on: backends[...], [])
  }

  /// Opens a pool on each backend that is left, one within the other, and times all of them.
  private func subtasks(
    on backends: ArraySlice<(String, any WorkerBackend)>, _ contestants: [RuntimeContestant]
  ) async throws -> [RuntimeFigure] {
    guard let (name, backend) = backends.first else {
      return try await measure(contestants)
    }
    return try await withActorPool(WorkerConfiguration(backend: backend)) { pool in
      let contestant = RuntimeContestant(
        row: "subtask of a pool", backend: name, callsPerTurn: 50,
        call: { _ = try await pool.run([RuntimeSubtask()]) })
      return try await subtasks(on: backends.dropFirst(), contestants + [contestant])
    }
  }

  /// How long a pool takes to start, and what one of its processes takes when it has nothing to do.
  func starts() async throws -> [RuntimeFigure] {
    let (startRow, memoryRow) = ("start of a pool", "memory of an idle worker (PSS)")
    guard isWanted(startRow) || isWanted(memoryRow) else { return [] }
    var times: [Double] = []
    let clock = ContinuousClock()
    for _ in 0..<10 {
      let start = clock.now
      times.append(
        try await withActorPool(.processes(4)) { _ in (clock.now - start) / .microseconds(1) })
    }
    times.sort()
    let start = RuntimeFigure(
      row: startRow, backend: "4 processes", count: times.count, p50: times[5],
      p99: times[9], limit: .p50(200_000))
    let memory = try await withActorSystem(RuntimeSubject.registry) { system in
      let actor = try await system.spawn(RuntimeSubject.self, 0, on: .process)
      let number = try await actor.processNumber()
      return try proportionalMebibytes(ofProcess: number)
    }
    return [
      start,
      RuntimeFigure(
        row: memoryRow, backend: "process", count: 1, rate: memory,
        unit: "MiB", limit: .most(20)),
    ]
  }

  private func measure(_ contestants: [RuntimeContestant]) async throws -> [RuntimeFigure] {
    try await RuntimeContestant.measure(
      contestants.filter { isWanted("\($0.row), \($0.backend)") }, rounds: rounds)
  }

  private func isWanted(_ name: String) -> Bool {
    filter.map { name.lowercased().contains($0.lowercased()) } ?? true
  }

  private func subjects(_ system: ByzActorSystem) async throws -> [(String, RuntimeSubject)] {
    var subjects = [
      ("thread", try await system.spawn(RuntimeSubject.self, 0, on: .thread)),
      ("process", try await system.spawn(RuntimeSubject.self, 0, on: .process)),
      ("tcp", try await system.spawn(RuntimeSubject.self, 0, on: server.plain)),
      ("tcp, TLS", try await system.spawn(RuntimeSubject.self, 0, on: server.tls)),
    ]
    if let ucx = server.ucx {
      subjects.append(("ucx", try await system.spawn(RuntimeSubject.self, 0, on: ucx)))
    }
    return subjects
  }

  private func proportionalMebibytes(ofProcess number: Int) throws -> Double {
    let text = try String(contentsOfFile: "/proc/\(number)/smaps_rollup", encoding: .utf8)
    let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") }
    guard let kibibytes = line?.split(separator: " ").dropFirst().first.flatMap({ Double($0) })
    else { throw BenchmarkError.server("no Pss of process \(number)") }
    return kibibytes / 1024
  }
}
