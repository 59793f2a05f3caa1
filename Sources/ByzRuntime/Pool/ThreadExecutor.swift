internal import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One thread that runs the jobs of tasks in the order they come, and sleeps when there are none.
///
/// Also a serial executor, so that an actor can live on it.
///
/// A task executor rather than a queue of closures: what runs here is still the caller's task, so
/// `Task.isCancelled` and task-local values are the caller's without any machinery. The thread
/// starts with the first job.
package final class ThreadExecutor: TaskExecutor, SerialExecutor {
  private enum Phase { case created, running, stopping, stopped }

  /// `@unchecked Sendable`: a thread's handle may be used from any thread.
  private struct State: @unchecked Sendable {
    package var phase = Phase.created
    package var jobs: [UnownedJob] = []
    package var isIdle = false
    package var thread: pthread_t?
    package var stopping: [CheckedContinuation<Void, Never>] = []
  }

  /// As on the main thread of most systems, so that a user's subtask may recurse as deep as
  /// anywhere.
  private static let stackSize = 8 << 20

  private let name: String
  private let processor: Int?
  private let state = Monitor(State())

  /// A thread that runs where the system puts it, or on one processor.
  package init(name: String, processor: Int? = nil) {
    self.name = name
    self.processor = processor
  }

  /// Whether a thread of this process can be kept on a processor; tried on a thread of its own.
  package static func canRun(on processor: Int) -> Bool {
    guard let processor = CInt(exactly: processor) else { return false }
    let outcome = Monitor<CInt?>(nil)
    let isTried = startThread(named: "byzkit-processor") {
      outcome.withLock { $0 = byz_pin_thread(processor) }
      outcome.signal()
    }
    return isTried && outcome.wait { $0 } == 0
  }

  /// Whether the thread exists.
  package var isRunning: Bool { state.withLock { $0.phase == .running || $0.phase == .stopping } }

  /// Creates the thread unless it exists. A job does so too; this says why it cannot be.
  ///
  /// - Throws: ``RuntimeError/Code/stopped`` after ``stop()``;
  ///   ``RuntimeError/Code/workerStartFailed``.
  package func start() throws(RuntimeError) {
    let (phase, status) = state.withLock { state in
      let status = createThreadIfNeeded(&state)
      return (state.phase, status)
    }
    switch phase {
    case .running: return
    case .stopping, .stopped: throw RuntimeError(.stopped, "Worker \(name) has been stopped.")
    case .created:
      let reason = String(cString: strerror(status))
      throw RuntimeError(.workerStartFailed, "Thread \(name) could not be created: \(reason).")
    }
  }

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    let (isAccepted, isIdle) = state.withLock { state in
      createThreadIfNeeded(&state)
      guard state.phase == .running || state.phase == .stopping else { return (false, false) }
      state.jobs.append(job)
      // A thread that is busy looks at the queue before it waits.
      defer { state.isIdle = false }
      return (true, state.isIdle)
    }
    if isIdle { state.signal() }
    // A job must run or its task would never end; here it finds out that there is no thread. One after the other: they may be an
    // actor's.
    if isAccepted { return }
    if self === Self.orphanage {
      globalConcurrentExecutor.enqueue(ExecutorJob(job))
    } else {
      Self.orphanage.enqueue(ExecutorJob(job))
    }
  }

  /// Lets the thread finish the jobs it has and end by itself; for those who cannot wait, such as an actor that ends on it.
  package func finish() {
    state.withLock { state in
      switch state.phase {
      case .created: state.phase = .stopped
      case .running:
        state.phase = .stopping
        if let thread = state.thread { pthread_detach(thread) }
        state.thread = nil
      case .stopping, .stopped: break
      }
    }
    state.signal()
  }

  /// Runs the jobs of actors whose own thread is gone.
  package static let orphanage = ThreadExecutor(name: "orphans")

  /// Lets the thread finish the jobs it has, and waits until it is gone.
  package func stop() async {
    await withCheckedContinuation { continuation in
      let isGone = state.withLock { state in
        if state.phase == .created { state.phase = .stopped }
        guard state.phase != .stopped else { return true }
        state.phase = .stopping
        state.stopping.append(continuation)
        return false
      }
      if isGone { continuation.resume() } else { state.signal() }
    }
    let ended = state.withLock { state in
      defer { state.thread = nil }
      return state.thread
    }
    // It has run its last line already, so this returns at once.
    if let ended { pthread_join(ended, nil) }
  }

  /// Returns why the system refused, or 0.
  @discardableResult
  private func createThreadIfNeeded(_ state: inout State) -> CInt {
    guard state.phase == .created else { return 0 }
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, Self.stackSize)
    #if canImport(Darwin)
      var created: pthread_t?
    #else
      var created = pthread_t()
    #endif
    let executor = Unmanaged.passRetained(self)
    let status = pthread_create(
      &created, &attributes,
      { argument in
        let argument: UnsafeMutableRawPointer? = argument
        Unmanaged<ThreadExecutor>.fromOpaque(argument!).takeRetainedValue().runJobs()
        return nil
      }, executor.toOpaque())
    guard status == 0 else {
      executor.release()
      return status
    }
    state.thread = created
    state.phase = .running
    return 0
  }

  /// The thread's whole life.
  private func runJobs() {
    setNameOfThread(name)
    keepOnProcessor()
    let (task, serial) = (asUnownedTaskExecutor(), asUnownedSerialExecutor())
    var patience = Patience()
    while true {
      let jobs = nextJobs(&patience)
      if jobs.isEmpty { break }
      for job in jobs { job.runSynchronously(isolatedTo: serial, taskExecutor: task) }
    }
    let waiting = state.withLock { state in
      defer { state.stopping = [] }
      return state.stopping
    }
    for continuation in waiting { continuation.resume() }
  }

  private func keepOnProcessor() {
    guard let processor = processor.flatMap({ CInt(exactly: $0) }) else { return }
    let node = byz_node_of_cpu(processor)
    if node >= 0 { _ = byz_run_on_node(node) }
    _ = byz_pin_thread(processor)
  }

  /// Every job there is, waiting for one if need be; none when the thread is to end.
  private func nextJobs(_ patience: inout Patience) -> [UnownedJob] {
    patience.begin()
    defer { patience.end() }
    while state.withLock({ $0.jobs.isEmpty && $0.phase == .running }), patience.lasts() {}
    return state.wait { state in
      guard state.jobs.isEmpty else {
        defer { state.jobs = [] }
        return state.jobs
      }
      if state.phase == .stopping {
        state.phase = .stopped
        return []
      }
      state.isIdle = true
      return nil
    }
  }
}
