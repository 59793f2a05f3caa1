import ByzRuntime
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A number for the thread that asks.
@Sendable private func currentThread() -> Int {
  #if canImport(Darwin)
    Int(bitPattern: pthread_self())
  #else
    Int(pthread_self())
  #endif
}

#if os(Linux)
  /// Whether the thread that asks may run on processor 0 only.
  @Sendable func isKeptOnFirstProcessor() -> Bool {
    guard let file = fopen("/proc/thread-self/status", "r") else { return false }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while fgets(&line, CInt(line.count), file) != nil {
      let text = String(
        decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      if text.hasPrefix("Cpus_allowed_list:") { return text.split(separator: "\t").last == "0\n" }
    }
    return false
  }
#endif

@Suite("ThreadWorker", .timeLimit(.minutes(3)))
struct ThreadWorkerTests {
  private func withWorker<R>(
    _ name: String = "worker", _ body: (ThreadWorker) async throws -> R
  ) async throws -> R {
    let worker = ThreadWorker(name: name)
    let result: R
    do {
      result = try await body(worker)
    } catch {
      await worker.stop()
      throw error
    }
    await worker.stop()
    return result
  }

  private func probe(_ body: @escaping @Sendable () throws -> Int) -> Probe {
    Probe.make(1) { _ in try body() }[0]
  }

  #if os(Linux)
    @Test("keeps to its processor, and a processor that is not there is refused by its number")
    func processors() async throws {
      let backend = ThreadBackend(processors: [0])
      let worker = try await backend.makeWorker(named: "kept")
      for _ in 0..<3 {
        let isAlone = try await worker.run(
          probe { isKeptOnFirstProcessor() ? 1 : 0 }, operands: Operands())
        #expect(isAlone == 1)
      }
      await worker.stop()
      for absent in [-1, 1 << 20] {
        let error = await #expect(throws: RuntimeError.self) {
          _ = try await ThreadBackend(processors: [absent]).makeWorker(named: "lost")
        }
        #expect(error?.code == .workerStartFailed)
        #expect(error?.message.contains("\(absent)") == true)
      }
    }
  #endif

  @Test("starts its thread with its first subtask, and runs all on that one thread")
  func ownThread() async throws {
    try await withWorker { worker in
      #expect(!worker.isStarted)
      var threads: Set<Int> = []
      for _ in 0..<3 {
        threads.insert(try await worker.run(probe(currentThread), operands: Operands()))
      }
      #expect(worker.isStarted)
      #expect(threads.count == 1)
      #expect(!threads.contains(currentThread()))
    }
  }

  @Test("throws what the subtask throws, and goes on")
  func errors() async throws {
    try await withWorker { worker in
      await #expect(throws: Failure(number: 3)) {
        try await worker.run(probe { throw Failure(number: 3) }, operands: Operands())
      }
      let value = try await worker.run(probe { 4 }, operands: Operands())
      #expect(value == 4)
    }
  }

  @Test("runs one subtask at a time")
  func exclusive() async throws {
    let occupancy = Occupancy()
    try await withWorker { worker in
      let subtask = probe { occupancy.inside { 0 } }
      try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<50 { group.addTask { try await worker.run(subtask, operands: Operands()) } }
        try await group.waitForAll()
      }
    }
    #expect(occupancy.most == 1)
  }

  @Test("shows a running subtask that its task was cancelled")
  func cancellationIsSeen() async throws {
    let (started, cancelled) = (Signal(), Signal())
    try await withWorker { worker in
      let subtask = probe {
        started.send()
        cancelled.block()
        return Task.isCancelled ? 1 : 0
      }
      let task = Task { try await worker.run(subtask, operands: Operands()) }
      await started.wait()
      task.cancel()
      cancelled.send()
      let value = try await task.value
      #expect(value == 1)
    }
  }

  @Test("does not begin a subtask whose task was cancelled while it waited for the thread")
  func cancelledBeforeItBegan() async throws {
    let (started, release) = (Signal(), Signal())
    let begun = Log<Int>()
    try await withWorker { worker in
      let blocking = probe {
        started.send()
        release.block()
        return 0
      }
      let late = probe {
        begun.append(1)
        return 0
      }
      let first = Task { try await worker.run(blocking, operands: Operands()) }
      await started.wait()
      let second = Task { try await worker.run(late, operands: Operands()) }
      second.cancel()
      release.send()
      _ = try await first.value
      await #expect(throws: CancellationError.self) { try await second.value }
    }
    #expect(begun.entries.isEmpty)
  }

  @Test("refuses work after it has been stopped, started or not, and can be stopped again")
  func stop() async throws {
    for starts in [true, false] {
      let worker = ThreadWorker(name: "stopped")
      if starts { _ = try await worker.run(probe { 0 }, operands: Operands()) }
      await worker.stop()
      await worker.stop()
      #expect(!worker.isStarted)
      let code = await runtimeError { try await worker.run(probe { 0 }, operands: Operands()) }
      #expect(code == .stopped)
    }
  }

  @Test("finishes the running subtask before it stops")
  func stopWaits() async throws {
    let (started, release) = (Signal(), Signal())
    let log = Log<String>()
    let worker = ThreadWorker(name: "stopping")
    let subtask = probe {
      started.send()
      release.block()
      log.append("subtask")
      return 0
    }
    let work = Task { try await worker.run(subtask, operands: Operands()) }
    await started.wait()
    let stop = Task {
      await worker.stop()
      log.append("stopped")
    }
    release.send()
    await stop.value
    _ = try await work.value
    #expect(log.entries == ["subtask", "stopped"])
  }

  @Test("still runs jobs that reach its executor after the thread has ended, elsewhere")
  func lateJobs() async throws {
    let worker = ThreadWorker(name: "late")
    await worker.stop()
    let value = await withTaskExecutorPreference(worker.executor) { 5 }
    #expect(value == 5)
  }

  #if os(Linux)
    @Test("gives its thread its name, of which the last 15 bytes remain")
    func threadName() async throws {
      try await withWorker("a long configuration-3") { worker in
        _ = try await worker.run(probe { 0 }, operands: Operands())
        // Where another thread ends meanwhile, a list may lack some.
        #expect(await eventually { threadNames().contains("configuration-3") })
      }
      // The system lists a thread a little longer than it runs.
      #expect(await eventually { !threadNames().contains("configuration-3") })
    }
  #endif
}

#if os(Linux)
  /// The names of all threads of this process.
  func threadNames() -> [String] {
    guard let directory = opendir("/proc/self/task") else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let id = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard let file = fopen("/proc/self/task/\(id)/comm", "r") else { continue }
      defer { fclose(file) }
      var bytes = [UInt8](repeating: 0, count: 64)
      let count = fread(&bytes, 1, bytes.count, file)
      names.append(String(decoding: bytes.prefix(count).prefix { $0 != 10 }, as: UTF8.self))
    }
    return names
  }
#endif
