import ByzRuntime
import ByzTensor
import ByzTesting
import CByzSystem

#if canImport(Glibc)
  import Glibc
#endif

/// Answers every message with an equal one.
enum EchoProgram: TestWorkerProgram {
  static func run() -> Never { serve { [$0] } }
}

/// Reads nothing, and does not notice the end of the stream: only a signal ends it.
enum DeafProgram: TestWorkerProgram {
  static func run() -> Never {
    // It does not notice the end of the tests either.
    alarm(180)
    while true { pause() }
  }
}

/// Goes on as if it were no worker, as a program does whose main does not ask. Exits with status 42 when it may start no workers.
enum ForgetfulProgram: TestWorkerProgram {
  static func run() -> Never {
    Task {
      do {
        _ = try await ProcessBackend.process.openLink(named: "endless")
        exit(1)
      } catch {
        exit((error as? RuntimeError)?.message.contains("runWorkerIfRequested()") == true ? 42 : 2)
      }
    }
    while true { pause() }
  }
}

/// Exits with status 3 when it is spoken to.
enum ExitProgram: TestWorkerProgram {
  static func run() -> Never { serve { _ in exit(3) } }
}

/// Starts an echo of its own and says what number it has.
enum ParentProgram: TestWorkerProgram {
  private static let links = Monitor<[any Link]>([])

  static func run() -> Never {
    serve { link in
      Task {
        let link = try await ProcessBackend(running: EchoProgram.self).openLink(named: "grandchild")
        links.withLock { $0.append(link) }
        let number = UInt64(link.peerName.split(separator: " ").last ?? "") ?? 0
        toParent.withLock { $0 }?.send(Message(.reply, call: number))
      }
      return []
    }
  }
}

/// The link to the parent, once there is one.
private let toParent = Monitor<ProcessLink?>(nil)

/// Hands every message to `answer` and sends what that returns.
private func serve(_ answer: @escaping @Sendable (Message) -> [Message]) -> Never {
  final class Server: LinkReceiver {
    private let link: ProcessLink
    private let answer: @Sendable (Message) -> [Message]

    init(link: ProcessLink, answer: @escaping @Sendable (Message) -> [Message]) {
      self.link = link
      self.answer = answer
    }

    func receive(_ message: Message) { for reply in answer(message) { link.send(reply) } }
    func linkClosed(_ reason: RuntimeError) {}
  }
  guard let link = ProcessLink.inherited() else { exit(71) }
  toParent.withLock { $0 = link }
  link.start(Server(link: link, answer: answer))
  while true { pause() }
}

/// Starts and kills as many processes as it is told, and says what is left over.
enum CycleProgram: TestWorkerProgram {
  static func run() -> Never {
    serve { message in
      Task {
        do {
          try await cycle(3)
          let before = Leftovers.now()
          try await cycle(Int(message.call))
          // The last link is closing its socket on a thread of its own.
          _ = await eventually { before.contains(Leftovers.now()) }
          let after = Leftovers.now()
          let report = before.contains(after) ? "" : "before: \(before), after: \(after)"
          toParent.withLock { $0 }?.send(Message(.reply, body: Array(report.utf8)))
        } catch {
          toParent.withLock { $0 }?.send(Message(.failure, body: Array("\(error)".utf8)))
        }
      }
      return []
    }
  }

  private static func cycle(_ count: Int) async throws {
    for i in 0..<count {
      if i % 20 == 0 { try await twoLives() }
      weak let link = try await oneLife(i)
      // Its threads may still be on their last lines.
      _ = await eventually { link == nil }
    }
  }

  /// Two processes, one of which writes to the other by a connection of their own, and that die with it.
  private static func twoLives() async throws {
    try await withActorSystem(PostmanProgram.registry) { (system) async throws -> Void in
      let backend = ProcessBackend(running: PostmanProgram.self)
      let sender = try await system.spawn(Postman.self, 0, on: backend)
      let reader = try await system.spawn(Postman.self, 0, on: backend)
      try await sender.deliver(2, to: try await reader.open("in"))
      guard system.mailPassedOn == 0 else {
        throw RuntimeError(.unknownTarget, "The mail took a detour.")
      }
    }
  }

  private static func oneLife(_ i: Int) async throws -> any Link {
    let link = try await ProcessBackend(running: EchoProgram.self).openLink(named: "cycle-\(i)")
    let inbox = Mailbox()
    link.start(inbox)
    link.send(Message.sample(UInt64(i), sizes: [20_000]))
    // Now and then the child gets so far as to answer.
    if i % 10 == 0 { await inbox.waitForMessage() }
    link.close(RuntimeError(.stopped, "Next."))
    await inbox.waitForEnd()
    return link
  }
}

/// An inbox without expectations, for processes that are no tests.
private final class Mailbox: LinkReceiver {
  private let messages = AsyncStream<Void>.makeStream()
  private let end = AsyncStream<Void>.makeStream()

  func receive(_ message: Message) { messages.continuation.yield() }

  func linkClosed(_ reason: RuntimeError) {
    messages.continuation.finish()
    end.continuation.finish()
  }

  func waitForMessage() async { for await _ in messages.stream { return } }
  func waitForEnd() async { for await _ in end.stream {} }
}

/// What a process that forgets to clean up has more and more of.
private struct Leftovers: CustomStringConvertible {
  var descriptors: Int
  var mappings: Int
  var sharedMemoryFiles: Int
  var children: Int

  static func now() -> Leftovers {
    Leftovers(
      descriptors: entries("/proc/self/fd"), mappings: sharedMappings(),
      sharedMemoryFiles: entries("/dev/shm", containing: "byzkit"), children: waitableChildren())
  }

  func contains(_ other: Leftovers) -> Bool {
    other.descriptors <= descriptors && other.mappings <= mappings
      && other.sharedMemoryFiles <= sharedMemoryFiles && other.children <= children
  }

  var description: String {
    "\(descriptors) descriptors, \(mappings) mappings, \(sharedMemoryFiles) files, \(children) children"
  }

  private static func entries(_ path: String, containing part: String = "") -> Int {
    guard let directory = opendir(path) else { return 0 }
    defer { closedir(directory) }
    var count = 0
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if part.isEmpty || name.contains(part) { count += 1 }
    }
    return count
  }

  /// Lines that tell of shared memory; the allocator's own come and go with the number of threads.
  private static func sharedMappings() -> Int {
    guard let file = fopen("/proc/self/maps", "r") else { return 0 }
    defer { fclose(file) }
    var (count, line) = (0, [CChar](repeating: 0, count: 4096))
    while fgets(&line, CInt(line.count), file) != nil {
      let text = String(
        decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
      if text.contains("byzkit") { count += 1 }
    }
    return count
  }

  /// 0 when this process has no children at all, dead or alive.
  private static func waitableChildren() -> Int {
    var status: CInt = 0
    return waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD ? 0 : 1
  }
}

/// How many sockets this process has open.
func openSocketCount() -> Int {
  (0..<CInt(1024)).count { descriptor in
    var status = stat()
    return fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFSOCK
  }
}
