import ByzKit
import ByzRuntime
import ByzTensor
import FuzzSupport

private let limits = {
  var limits = WireLimits()
  (limits.body, limits.message, limits.depth) = (64 << 10, 64 << 10, 12)
  (limits.decoded, limits.actors, limits.keptValues) = (256 << 10, 2, 4)
  return limits
}()

/// Asks a worker for this library's own work, changed as the input says: its first byte chooses the call, and what follows up to
/// eight changes to what it says and to the tensors beside it.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWork(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var input = Bytes(UnsafeRawBufferPointer(start: start, count: count))
  var (call, kept) = calls[Int(input.next()) % calls.count]
  guard var value = try? WireValue(parsing: call.body, limits: limits) else {
    fatalError("A recorded call cannot be read.")
  }
  let comesAfterOthers = input.next() & 1 == 0
  for _ in 0..<8 where !input.isEmpty {
    if input.next() & 3 == 0 {
      call.segments = changed(call.segments, &input)
    } else {
      value = Mutation(&input)(value)
    }
  }
  call.body = value.serialized()
  if !comesAfterOthers { kept = [] }
  let (changed, before) = (call, kept)
  let answer = wait {
    let host = WorkerHost(system: system, isWorker: true)
    for call in before { _ = await host.serve(call, from: peer) }
    let answer = await host.serve(changed, from: peer)
    await host.connectionEnded()
    return answer
  }
  do {
    _ = try answer.result(registry: .byzKit, limits: WireLimits())
  } catch {
    check(
      error is RuntimeError || error is RemoteError || error is AggregationError
        || error is ModelError || error is TensorError || error is CancellationError,
      "an answer can be read: \(error)")
  }
  return 0
}

/// One segment more or less, or one of another length.
private func changed(_ segments: [Segment], _ input: inout Bytes) -> [Segment] {
  var segments = segments
  let byteCount = 4 * Int(input.next())
  let storage = TensorStorage(byteCount: byteCount)
  storage.address.initializeMemory(as: UInt8.self, repeating: input.next(), count: byteCount)
  let other = Segment(storage: storage, offset: 0, byteCount: byteCount)
  let place = Int(input.next()) % (segments.count + 1)
  switch input.next() % 3 {
  case 0: segments.insert(other, at: place)
  case 1 where place < segments.count: segments[place] = other
  default: if place < segments.count { segments.remove(at: place) }
  }
  return segments
}

// MARK: - The worker

private let recorded: [Message] = {
  let result = wait { () async -> Result<[Message], any Error> in
    do { return .success(try await RecordedWork.record()) } catch { return .failure(error) }
  }
  guard case .success(let calls) = result else { fatalError("Nothing was recorded: \(result)") }
  return calls
}()

/// Those that name no actor that is not there, each with what it may refer to: as many values as a worker keeps, the last before it.
private let calls: [(call: Message, kept: [Message])] = {
  var kept: [Message] = []
  return recorded.compactMap { call in
    guard let kind = WorkKind(call) else { return nil }
    defer { if kind == .keep { kept.append(call) } }
    return (call, kept.suffix(limits.keptValues))
  }
}()

private enum WorkKind: UInt64 {
  case spawn = 1
  case subtask = 3
  case keep = 4

  init?(_ call: Message) {
    guard case .array(let parts)? = try? WireValue(parsing: call.body, limits: WireLimits()),
      case .unsigned(let number)? = parts.first
    else { return nil }
    self.init(rawValue: number)
  }
}

private let system = ByzActorSystem(registry: .byzKit)

/// The worker's end of a connection that is open.
private let (peer, other): (Peer, Peer) = {
  let (a, b) = MemoryLink.pair(limits: limits)
  let made = [(a, 1), (b, 2)].map { link, host in
    Peer(
      link: link,
      hello: Hello(
        host: host, name: "fuzz", types: [:], kernels: "plain", blas: "", requiresSameBits: false))
  }
  made[1].begin()
  guard wait({ (try? await made[0].open()) != nil }) else { fatalError("There is no worker.") }
  return (made[0], made[1])
}()
