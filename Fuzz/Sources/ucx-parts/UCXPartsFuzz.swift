import ByzRuntime
import ByzTensor
import ByzUCX
import Foundation
import FuzzSupport

/// Small, so that many inputs reach them.
private let limits = {
  var limits = WireLimits()
  (limits.body, limits.message, limits.segments) = (256, 768, 8)
  return limits
}()

/// Reads the input as parts that a peer sends, or as messages that are dealt out over parts and come in another order.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzParts(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var input = Bytes(UnsafeRawBufferPointer(start: start, count: count))
  let kind = input.next()
  if kind % 2 == 0 {
    // A part, its memory and what is noted of it.
    let implied = FrameReader.stagingByteCount + count * (limits.message + 512)
    bounded(implied: implied, "the reader of parts") {
      receive(&input, isOfStranger: kind & 4 != 0)
    }
  } else {
    deal(&input)
  }
  return 0
}

/// Parts of anyone's making: of someone who is known, or of a stranger, who may become known between two of them.
private func receive(_ input: inout Bytes, isOfStranger: Bool) {
  var inbox = UCXInbox(limits: limits, isOfStranger: isOfStranger)
  var inForce = isOfStranger ? limits.ofStrangers : limits
  var handedOut: UInt64 = 0
  var waiting: [UCXPart] = []
  var byteCounts: [UInt64: Int] = [:]
  do throws(RuntimeError) {
    while !input.isEmpty {
      let how = input.next()
      if how & 32 != 0 {
        inbox.admit(limits)
        inForce = limits
      }
      let frame =
        switch how % 4 {
        case 0, 1: handedOut
        case 2: handedOut &+ UInt64(input.next())
        default: input.number()
        }
      let part = UCXPart(
        frame: frame, index: Int(Int8(bitPattern: input.next())),
        count: Int(Int8(bitPattern: input.next())))
      let byteCount = how & 8 == 0 ? Int(input.next()) : Int(Int64(bitPattern: input.number()))
      let storage = try inbox.allocate(part, byteCount: byteCount)
      byteCounts[frame, default: 0] += byteCount
      check(storage.byteCount == byteCount, "a part has its memory")
      check(byteCounts[frame, default: 0] <= inForce.message, "a message has what it may")
      storage.address.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount)
      input.copy(to: UnsafeMutableRawBufferPointer(start: storage.address, count: byteCount))
      waiting.append(part)
      // Its bytes come at once, or after those of others.
      guard how & 16 == 0 else { continue }
      for part in waiting.reversed() { inbox.complete(part) }
      waiting = []
      while let message = try inbox.next() {
        handedOut += 1
        check((try? Frame.check(message, limits: inForce)) != nil, "what was read may be sent")
      }
    }
  } catch {
    check(
      error.code == .malformedMessage || error.code == .incompatiblePeer,
      "there is a reason: \(error)")
  }
}

/// Messages whose sizes follow from the input, by the sender's rules, and the parts in another order.
private func deal(_ input: inout Bytes) {
  var outbox = UCXOutbox()
  var sent: [Message] = []
  var random = UInt64(input.next())
  while !input.isEmpty, sent.count < 4 {
    let body = [UInt8](repeating: input.next(), count: 40 * Int(input.next()))
    let segments = (0..<input.next() % 4).map { _ in
      segment(byteCount: 40 * Int(input.next()), of: input.next())
    }
    sent.append(Message(.call, call: UInt64(sent.count), body: body, segments: segments))
    outbox.append(sent[sent.count - 1])
  }
  var parts: [(UCXPart, UCXOutbox.Bytes)] = []
  while let (part, bytes) = outbox.next() {
    random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    parts.insert((part, bytes), at: Int((random >> 33) % UInt64(parts.count + 1)))
    outbox.sent(part)
  }
  check(outbox.isEmpty, "everything is sent")
  var inbox = UCXInbox(limits: WireLimits())
  var received: [Message] = []
  do throws(RuntimeError) {
    for (part, bytes) in parts {
      let contents = contents(of: bytes)
      let storage = try inbox.allocate(part, byteCount: contents.count)
      contents.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(start: storage.address, count: $0.count).copyMemory(from: $0)
      }
      inbox.complete(part)
      while let message = try inbox.next() { received.append(message) }
    }
  } catch {
    check(false, "parts of a sender are taken: \(error)")
  }
  check(received.count == sent.count, "as many messages come back")
  for (one, other) in zip(received, sent) {
    check(Frame.data(of: one) == Frame.data(of: other), "messages come back, in their order")
  }
}

private func segment(byteCount: Int, of byte: UInt8) -> Segment {
  let storage = TensorStorage(byteCount: byteCount)
  storage.address.initializeMemory(as: UInt8.self, repeating: byte, count: byteCount)
  return Segment(storage: storage, offset: 0, byteCount: byteCount)
}

private func contents(of bytes: UCXOutbox.Bytes) -> [UInt8] {
  switch bytes {
  case .head(let head): head
  case .segment(let segment): segment.withUnsafeBytes(Array.init)
  }
}

extension Frame {
  /// All bytes of a message, as a stream has them.
  ///
  /// Data are compared at once, where the fuzzer would count each byte of an array.
  fileprivate static func data(of message: Message) -> Data {
    message.segments.reduce(into: Data(head(of: message))) { data, segment in
      segment.withUnsafeBytes { data.append(contentsOf: $0) }
    }
  }
}
