import ByzRuntime
import ByzTensor
import FuzzSupport

/// Small, so that many inputs reach them.
private let limits = {
  var limits = WireLimits()
  (limits.body, limits.message, limits.segments) = (256, 768, 8)
  return limits
}()

/// Memory of 100 bytes that the other side shares.
private struct Memory: SharedSegments {
  let storage = TensorStorage(byteCount: 100)

  func segment(offset: UInt64, byteCount: Int) throws(RuntimeError) -> Segment {
    guard offset <= 100, byteCount <= 100 - Int(offset) else {
      throw RuntimeError(.malformedMessage, "Outside of the shared memory.")
    }
    return Segment(storage: storage, offset: Int(offset), byteCount: byteCount)
  }
}

private let memory = Memory()

/// Reads the input but its first byte as a stream of frames: in pieces whose sizes follow from that byte, and as a whole.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzFrame(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = UnsafeRawBufferPointer(start: start, count: count)
  guard let seed = input.first else { return 0 }
  let stream = UnsafeRawBufferPointer(rebasing: input.dropFirst())

  // What is kept of a message does not count, whatever the length of the stream.
  bounded(implied: FrameReader.stagingByteCount + 8 * limits.message, "the reader of frames") {
    _ = read(stream, seed: seed) { _ in }
  }
  var (messages, wholeMessages): ([Message], [Message]) = ([], [])
  let failure = read(stream, seed: seed) { messages.append($0) }
  let wholeFailure = read(stream, seed: nil) { wholeMessages.append($0) }
  let bytes = messages.flatMap(encoded)
  check(stream.starts(with: bytes), "what was read has the bytes that came")
  check(wholeMessages.flatMap(encoded) == bytes, "pieces give the same messages as the whole")
  check(
    failure?.description == wholeFailure?.description, "pieces fail as the whole does")
  if failure == nil {
    check(stream.count - bytes.count < limits.message, "no whole message is left")
  }
  for message in messages {
    check((try? Frame.check(message, limits: limits)) != nil, "what was read may be sent")
  }
  return 0
}

/// Reads a stream and returns why it ended early.
private func read(
  _ stream: UnsafeRawBufferPointer, seed: UInt8?, receive: (Message) -> Void
) -> RuntimeError? {
  var reader = FrameReader(limits: limits, sharedMemory: memory)
  var (rest, state) = (stream[...], UInt32(seed ?? 0))
  do {
    while !rest.isEmpty {
      state = state &* 1_664_525 &+ 1_013_904_223
      let most =
        seed == nil ? Int.max : 1 + Int(state >> 16) % [2, 8, 64, 512][Int(state >> 8) % 4]
      let count = try reader.fill { room in
        check(!room.isEmpty, "there is room for more")
        let piece = rest.prefix(min(most, room.count))
        room.copyBytes(from: piece)
        return piece.count
      }
      rest = rest.dropFirst(count)
      while let message = try reader.next() { receive(message) }
    }
    return nil
  } catch {
    check(
      (try? reader.next()) == nil && (try? reader.fill { _ in 0 }) == nil,
      "after an error nothing is read")
    guard let error = error as? RuntimeError else {
      fatalError("An error without a type: \(error)")
    }
    check(error.code == .malformedMessage || error.code == .incompatiblePeer, "the code is right")
    return error
  }
}

/// The bytes of a message; what lies in the shared memory stays there.
private func encoded(_ message: Message) -> [UInt8] {
  let places = message.segments.map { segment -> SegmentPlace in
    segment.storage === memory.storage ? .shared(offset: UInt64(segment.offset)) : .inline
  }
  var bytes = Frame.head(of: message, places: places)
  for (segment, place) in zip(message.segments, places) where place == .inline {
    segment.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }
  return bytes
}
