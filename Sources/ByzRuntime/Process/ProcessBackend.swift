internal import ByzTensor
internal import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Starts workers that are child processes of this one: a crash of one takes nothing else with it.
///
/// A child runs this program, or another one that links the same types, and becomes a worker where its `main` calls
/// `runWorkerIfRequested()`. It ends when its parent does.
public struct ProcessBackend: LinkBackend {
  /// The program that children run; nil for the one that is running.
  public let executable: String?
  /// What children find in their environment beside what this process has.
  package let environment: [String: String]

  /// Children that run `executable`, or this program.
  public init(executable: String? = nil) {
    self.init(executable: executable, environment: [:])
  }

  package init(executable: String? = nil, environment: [String: String]) {
    self.executable = executable
    self.environment = environment
  }

  /// `process`.
  public var name: String { "process" }

  /// The processor.
  public var capabilities: Set<Capability> { [.cpu] }

  package var isSameProgram: Bool { executable == nil }

  package func openLink(named name: String) async throws -> any Link {
    if getenv(ProcessLink.environmentName) != nil {
      // Or every child would start children of its own, without end.
      throw RuntimeError(
        .workerStartFailed,
        """
        This process was started as a worker but runs the program's main: call \
        runWorkerIfRequested() first in main.
        """)
    }
    return try await withTaskExecutorPreference(Self.spawner) { try start(named: name) }
  }

  /// Children die with the thread that has started them, so it is one that stays.
  private static let spawner = ThreadExecutor(name: "byzkit-spawner")

  private func start(named name: String) throws(RuntimeError) -> ProcessLink {
    var sockets: (CInt, CInt) = (-1, -1)
    let status = withUnsafeMutableBytes(of: &sockets) {
      byz_socket_pair($0.assumingMemoryBound(to: CInt.self).baseAddress!)
    }
    guard status == 0 else {
      throw RuntimeError(
        .workerStartFailed,
        "There is no socket for worker \(name): \(String(cString: strerror(-status))).")
    }
    defer { byz_close(sockets.1) }
    // Without shared memory everything goes through the socket.
    let arena = try? SharedArena.process()
    let childMemory = (try? SharedArena.makeMemory()) ?? -1
    defer { byz_close(childMemory) }
    let mapping = childMemory < 0 ? nil : try? MappedArena(fileDescriptor: childMemory)
    // Without a way to pass descriptors, mail to other children goes through this process.
    var passages: (CInt, CInt) = (-1, -1)
    _ = withUnsafeMutableBytes(of: &passages) {
      byz_passage_pair($0.assumingMemoryBound(to: CInt.self).baseAddress!)
    }
    let passage = passages.0 < 0 ? nil : DescriptorPassage(socket: passages.0)
    defer { byz_close(passages.1) }
    let descriptors = [
      sockets.1, arena?.fileDescriptor ?? -1, mapping == nil ? -1 : childMemory, passages.1,
    ]
    let numbers = descriptors.enumerated().map { index, descriptor in
      descriptor < 0 ? "-1" : "\(ChildProcess.firstDescriptor + CInt(index))"
    }
    var environment = environment
    environment[ProcessLink.environmentName] = numbers.joined(separator: ",")
    do {
      let child = try ChildProcess(
        executable: executable, arguments: ["byzkit-worker", name], environment: environment,
        descriptors: descriptors)
      return ProcessLink(
        peerName: "process \(child.identifier)", socket: sockets.0, arena: arena,
        peerMemory: mapping, child: child, passage: passage)
    } catch {
      byz_close(sockets.0)
      throw error
    }
  }
}

extension WorkerBackend where Self == ProcessBackend {
  /// Child processes that run this program.
  public static var process: ProcessBackend { ProcessBackend() }

  /// Child processes that run another program, which links the same types.
  public static func process(executable: String) -> ProcessBackend {
    ProcessBackend(executable: executable)
  }
}

extension WorkerConfiguration {
  /// Child processes of this one. They run `executable`, or this program.
  public static func processes(
    _ count: Int, executable: String? = nil, capabilities: Set<Capability>? = nil,
    name: String? = nil
  ) -> WorkerConfiguration {
    WorkerConfiguration(
      backend: ProcessBackend(executable: executable), count: count, capabilities: capabilities,
      name: name)
  }
}
