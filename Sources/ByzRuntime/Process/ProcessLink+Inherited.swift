internal import ByzTensor
internal import CByzSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension ProcessLink {
  /// Names what a child inherits: the numbers of its socket, of its parent's memory and of its own, and of the socket for
  /// descriptors; -1 where there is none.
  package static let environmentName = "BYZKIT_WORKER"

  /// The link to the parent in a process that a ``ProcessBackend`` has started; nil in any other. Called once, before anything else
  /// is done in the process.
  ///
  /// From here on the process ends with its parent, whatever that dies of, and its ``SharedArena/process()`` is memory that the
  /// parent reads.
  package static func inherited() -> ProcessLink? {
    guard let value = getenv(environmentName) else { return nil }
    let numbers = String(cString: value).split(separator: ",", omittingEmptySubsequences: false)
      .map { CInt($0) }
    unsetenv(environmentName)
    guard numbers.count == 4, let socket = numbers[0], let parents = numbers[1],
      let own = numbers[2], let passage = numbers[3], byz_close_on_exec(socket) == 0
    else { return nil }
    _ = byz_die_with_parent(socket)
    for other in [parents, own, passage] where other >= 0 { _ = byz_close_on_exec(other) }
    let peerMemory = try? MappedArena(fileDescriptor: parents)
    byz_close(parents)
    if own >= 0 { SharedArena.adoptForProcess(fileDescriptor: own) }
    return ProcessLink(
      peerName: "parent process \(getppid())", socket: socket,
      arena: own >= 0 ? try? SharedArena.process() : nil, peerMemory: peerMemory, child: nil,
      passage: passage >= 0 ? DescriptorPassage(socket: passage) : nil, endsProcess: true)
  }
}
