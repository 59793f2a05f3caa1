import ByzKit
import ByzRuntime
import ByzTensor
import FuzzSupport

private let limits = {
  var limits = WireLimits()
  (limits.body, limits.message, limits.depth) = (1024, 64 << 10, 12)
  (limits.decoded, limits.actors, limits.keptValues) = (32 << 10, 2, 4)
  return limits
}()

/// Reads the input as what another process, or a file, says: its first byte chooses the reader.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMessage(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  guard let choice = input.first else { return 0 }
  let bytes = Array(input.dropFirst())
  switch choice % 7 {
  case 0: hello(bytes)
  case 1: call(bytes)
  case 2: invocation(bytes)
  case 3: answer(bytes)
  case 4: release(bytes)
  case 5: checkpoint(bytes)
  default: mail(bytes)
  }
  return 0
}

/// What a peer may take from the heap beside its bytes: the values, what they are decoded into, and the error that refuses them.
private let implied = 3 * limits.decoded

private func hello(_ bytes: [UInt8]) {
  let read = bounded(implied: 256 * bytes.count, "the reader of hellos") {
    Result { try Hello(parsing: bytes) }
  }
  switch read {
  case .success(let hello):
    let again = try? Hello(parsing: Hello.encode(hello))
    check(again == hello, "a hello comes back")
    try? hello.check(mine)
  case .failure(let error): checkTyped(error)
  }
}

/// As a worker does what it is asked for.
private func call(_ bytes: [UInt8]) {
  let answer = wait {
    let host = WorkerHost(system: worker.system, isWorker: true)
    var message = Message(.call, body: bytes, segments: segments)
    // The first is a list of services, one after another.
    var answer = await host.serve(message, from: worker.peer)
    if case .array(let services) = try? WireValue(parsing: bytes, limits: limits) {
      for service in services.prefix(4) {
        message.body = service.serialized()
        answer = await host.serve(message, from: worker.peer)
      }
    }
    await host.connectionEnded()
    return answer
  }
  check(answer.kind == .reply || answer.kind == .failure, "a call is answered")
  checkAnswer(answer)
}

/// As a client, or a worker that knows another one, takes mail and brings workers together: the first value chooses which, the second
/// is what is asked for. Where it is for a mailbox, it is for the one that is there.
private func mail(_ bytes: [UInt8]) {
  guard case .array(var parts)? = try? WireValue(parsing: bytes, limits: limits),
    !parts.isEmpty, case .array(var service) = parts.removeLast()
  else { return }
  if service.count == 5, service[0] == .unsigned(5) {
    service[1] = .unsigned(letters.mailbox.address.host)
  }
  let message = Message(.call, body: WireValue.array(service).serialized(), segments: segments)
  let sibling: UInt64? = if case .unsigned(let host)? = parts.first { host } else { nil }
  let answer = wait {
    let host = WorkerHost(system: letters.system, sibling: sibling)
    let answer = await host.serve(message, from: worker.peer)
    await host.connectionEnded()
    return answer
  }
  checkAnswer(answer)
}

/// Calls a method of an actor that is there: the name of one of its own, or any other.
private func invocation(_ bytes: [UInt8]) {
  guard case .array(let parts)? = try? WireValue(parsing: bytes, limits: limits), parts.count == 3,
    case .array(let names) = parts[1], case .array(let arguments) = parts[2]
  else { return }
  let target: String
  switch parts[0] {
  case .unsigned(let number): target = worker.targets[Int(number % UInt64(worker.targets.count))]
  case .string(let name): target = name
  default: return
  }
  let substitutions = names.compactMap { if case .string(let name) = $0 { name } else { nil } }
  let result = wait {
    do {
      return Result<Message, any Error>.success(
        try await worker.system.perform(
          target, on: worker.actor.id.number, substitutions: substitutions, arguments: arguments,
          segments: segments))
    } catch {
      return .failure(error)
    }
  }
  switch result {
  case .success(let answer): checkAnswer(answer)
  case .failure(let error): checkTyped(error)
  }
}

private func answer(_ bytes: [UInt8]) {
  for kind in [Message.Kind.failure, .reply] {
    let message = Message(kind, body: bytes)
    _ = bounded(implied: implied, "the reader of answers") {
      Result { try message.result(registry: registry, limits: limits) }
    }
  }
}

private func checkAnswer(_ answer: Message) {
  do {
    _ = try answer.result(registry: registry, limits: WireLimits())
  } catch {
    check(
      error is RuntimeError || error is RemoteError || error is Refusal
        || error is CancellationError, "an answer can be read: \(error)")
  }
}

private func release(_ bytes: [UInt8]) {
  do throws(RuntimeError) {
    let offsets = try ReleaseBody.offsets(in: bytes)
    check(ReleaseBody.bytes(of: offsets) == bytes, "a release has one form")
  } catch {
    check(error.code == .malformedMessage && bytes.count % 8 != 0, "there is a reason")
  }
}

/// As it is, and with the right checksum behind it.
private func checkpoint(_ bytes: [UInt8]) {
  for bytes in [bytes, bytes + CRC64.bytes(of: bytes)] {
    let read = bounded(implied: 4 * bytes.count, "the reader of checkpoints") {
      bytes.withUnsafeBytes { buffer in
        Result { () throws(CheckpointError) in try Checkpoint(buffer, "file") }
      }
    }
    guard case .success(let checkpoint) = read else { continue }
    check(
      checkpoint.optimizerState.velocity?.count ?? checkpoint.parameters.count
        == checkpoint.parameters.count, "the arrays have one length")
  }
}

private func checkTyped(_ error: any Error) {
  check(
    error is RuntimeError || error is DecodingError || error is Refusal,
    "an error has a type that says what is wrong: \(error)")
}

// MARK: - The other side

private let mine = Hello(
  host: 1, name: "fuzz", types: ["A": 1, "B": 2], kernels: "plain", blas: "",
  requiresSameBits: false)

/// Segments of several sizes; the last is not aligned.
private let segments = {
  let storage = TensorStorage(byteCount: 64)
  storage.address.initializeMemory(as: UInt8.self, repeating: 1, count: 64)
  return [(0, 8), (8, 0), (16, 24), (33, 16)].map {
    Segment(storage: storage, offset: $0.0, byteCount: $0.1)
  }
}()

/// A worker with a connection that is open, and an actor.
private struct LiveWorker: Sendable {
  let system = ByzActorSystem(registry: registry)
  let peer: Peer
  let other: Peer
  let actor: Echo
  let targets: [String]

  init() async throws {
    let (a, b) = MemoryLink.pair(limits: limits)
    peer = Peer(link: a, hello: mine)
    var theirs = mine
    theirs.host = 2
    other = Peer(link: b, hello: theirs)
    other.begin()
    try await peer.open()
    actor = try await system.spawn(Echo.self, Note(text: "echo"), on: .thread)
    let type = "$s7message4EchoC"
    targets = [
      type + "3addyS2d_SdtYaKFTE", type + "4failyyAA7RefusalVYaKFTE",
      type + "4echoyxxYaKSeRzSERzlFTE",
    ]
    for (target, arguments) in zip(targets, [[.double(1), .double(2)], [], []] as [[WireValue]]) {
      do {
        _ = try await system.perform(
          target, on: actor.id.number, substitutions: [], arguments: arguments, segments: [])
      } catch let error as RuntimeError {
        check(error.code != .unknownTarget || target == targets[2], "\(target): \(error)")
      }
    }
  }
}

/// A mailbox that somebody empties.
private struct Letters: Sendable {
  let system = ByzActorSystem(registry: registry)
  let mailbox: Mailbox<Note>

  init() throws {
    let mailbox = try system.mailbox(named: "letters", of: Note.self, capacity: 2)
    self.mailbox = mailbox
    Task.detached { for await _ in mailbox {} }
  }
}

private let letters: Letters = {
  guard let letters = try? Letters() else { fatalError("There is no mailbox.") }
  return letters
}()

private let worker: LiveWorker = {
  let made = wait { await Result<LiveWorker, any Error>.catching { try await LiveWorker() } }
  guard let worker = try? made.get() else { fatalError("There is no worker: \(made)") }
  return worker
}()

extension Result where Failure == any Error {
  fileprivate static func catching(_ body: () async throws -> Success) async -> Self {
    do { return .success(try await body()) } catch { return .failure(error) }
  }
}

extension CRC64 {
  fileprivate static func bytes(of bytes: [UInt8]) -> [UInt8] {
    let checksum = bytes.withUnsafeBytes { CRC64.checksum($0) }
    return (0..<8).map { UInt8(truncatingIfNeeded: checksum >> (8 * UInt64($0))) }
  }
}
