import ByzRuntime
import ByzTensor
import ByzTesting
import CByzSystem
import Testing

#if canImport(Glibc)
  import Glibc
#endif

@Suite("Child processes", .timeLimit(.minutes(3)))
struct ProcessTests {
  @Test("a child answers, with tensors of any size and place")
  func echo() async throws {
    let (link, inbox) = try await open(EchoProgram.self)
    for (call, sizes) in [[], [0], [1, 0, 5000], [20_000, 300_000]].enumerated() {
      var message = Message.sample(UInt64(call), sizes: sizes)
      message.segments.append(try Tensor<Float>(repeating: 1, shape: [2000]).sharedCopy().segment)
      link.send(message)
      #expect(try await inbox.next().agrees(with: message))
    }
    link.close(RuntimeError(.stopped, "The test is over."))
    #expect(try await inbox.closed().code == .stopped)
  }

  @Test("what is lent to a child comes back")
  func leases() async throws {
    let (link, inbox) = try await open(EchoProgram.self)
    for call in 0..<10 {
      link.send(.sample(UInt64(call), sizes: [20_000]))
      #expect(try await inbox.next().segments.count == 1)
    }
    #expect(await eventually { link.lentSegmentCount == 0 })
    link.close(RuntimeError(.stopped, "The test is over."))
  }

  @Test("a child that is killed is reported with the signal")
  func killed() async throws {
    let (link, inbox) = try await open(EchoProgram.self)
    link.send(.sample(1, sizes: [1]))
    _ = try await inbox.next()
    kill(try identifier(of: link), SIGKILL)
    let reason = try await inbox.closed()
    #expect(reason.code == .workerLost)
    #expect(reason.message.contains("was killed by signal 9"))
  }

  @Test("a child that exits is reported with its status")
  func exited() async throws {
    let (link, inbox) = try await open(ExitProgram.self)
    link.send(.sample(1, sizes: []))
    let reason = try await inbox.closed()
    #expect(reason.code == .workerLost)
    #expect(reason.message.contains("exited with status 3"))
  }

  @Test("closing ends a child that is stopped, before it tells why")
  func stopped() async throws {
    let (link, inbox) = try await open(EchoProgram.self)
    link.send(.sample(1, sizes: []))
    _ = try await inbox.next()
    let number = try identifier(of: link)
    kill(number, SIGSTOP)
    link.close(RuntimeError(.workerLost, "No sign of life."))
    // Whoever closes does not wait for long, and a busy system may take longer to end a process.
    let reason = try await inbox.closed()
    #expect(kill(number, 0) == -1 && errno == ESRCH)
    #expect(reason.message == "No sign of life.")
  }

  @Test("letting go of a link that was never started ends its child")
  func neverStarted() async throws {
    var link: ProcessLink? = try await make(DeafProgram.self)
    let number = try identifier(of: try #require(link))
    link = nil
    #expect(kill(number, 0) == -1 && errno == ESRCH)
  }

  @Test("when a parent is killed, its children end")
  func orphaned() async throws {
    let (link, inbox) = try await open(ParentProgram.self)
    link.send(Message(.call))
    let grandchild = byz_open_process(pid_t(try await inbox.next().call))
    defer { byz_close(grandchild) }
    #expect(grandchild >= 0)
    #expect(byz_wait_for_exit(grandchild, 0) == 0)
    kill(try identifier(of: link), SIGKILL)
    _ = try await inbox.closed()
    // It may still be starting, and asks for its end only then.
    #expect(await eventually { byz_wait_for_exit(grandchild, 0) == 1 })
  }

  @Test("processes that were started and killed leave nothing behind")
  func cycles() async throws {
    let count = getenv("BYZKIT_CAMPAIGN") == nil ? 200 : 1000
    let (link, inbox) = try await open(CycleProgram.self)
    link.send(Message(.call, call: UInt64(count)))
    let report = try await inbox.next()
    #expect(report.kind == .reply)
    #expect(String(decoding: report.body, as: UTF8.self) == "")
    link.close(RuntimeError(.stopped, "The test is over."))
  }

  @Test("senders wait while a child does not read")
  func backPressure() async throws {
    let (link, inbox) = try await open(DeafProgram.self)
    // A socket itself takes 8 MiB where the system's limit is high.
    for _ in 0..<24 { link.send(Message(.call, body: [UInt8](repeating: 1, count: 1 << 20))) }
    #expect(link.isFull)
    let waiting = Task { try await link.waitUntilWritable() }
    link.close(RuntimeError(.stopped, "The test is over."))
    await #expect(throws: RuntimeError.self) { try await waiting.value }
    #expect(try await inbox.closed().code == .stopped)
  }

  @Test("a program that does not ask whether it is a worker cannot start workers without end")
  func forgetful() async throws {
    let (_, inbox) = try await open(ForgetfulProgram.self)
    #expect(try await inbox.closed().message.contains("exited with status 42"))
  }

  @Test("is started while another thread sets variables for a library that it loads")
  func changingEnvironment() async throws {
    // In a process of its own: other tests read the environment.
    await #expect(processExitsWith: .success) {
      let setter = Task.detached {
        while !Task.isCancelled {
          byz_environment_lock()
          for k in 0..<8 { setenv("BYZKIT_TEST_\(k)", "1", 1) }
          for k in 0..<8 { unsetenv("BYZKIT_TEST_\(k)") }
          byz_environment_unlock()
        }
      }
      for _ in 0..<1000 {
        let child = try ChildProcess(
          executable: "/bin/true", arguments: ["true"], environment: ["BYZKIT_TEST": "1"],
          descriptors: [])
        guard case .exited(status: 0) = child.end(within: .seconds(10)) else { exit(1) }
      }
      setter.cancel()
      exit(0)
    }
  }

  @Test("a program that is not there is refused with its path")
  func noProgram() async throws {
    let error = await #expect(throws: RuntimeError.self) {
      try await ProcessBackend(executable: "/nonexistent/worker").openLink(named: "none")
    }
    #expect(error?.code == .workerStartFailed)
    #expect(error?.message.contains("/nonexistent/worker") == true)
  }

  private func open(
    _ program: any TestWorkerProgram.Type
  ) async throws -> (ProcessLink, Inbox) {
    let link = try await make(program)
    let inbox = Inbox()
    link.start(inbox)
    return (link, inbox)
  }

  private func make(_ program: any TestWorkerProgram.Type) async throws -> ProcessLink {
    let link = try await ProcessBackend(running: program).openLink(named: "\(program)")
    return try #require(link as? ProcessLink)
  }

  private func identifier(of link: ProcessLink) throws -> pid_t {
    try #require(link.peerName.split(separator: " ").last.flatMap { pid_t($0) })
  }
}
