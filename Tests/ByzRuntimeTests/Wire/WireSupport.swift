import ByzRuntime
import ByzTensor

/// Draws numbers one after the other from a key, for tests that make things up.
struct Draws {
  private let key: RandomKey
  private var drawn = 0

  init(_ seed: UInt64) { key = RandomKey(seed) }

  mutating func next() -> UInt64 {
    drawn += 1
    return key.child(UInt64(drawn)).rawValue
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }
}

extension Segment {
  /// A segment with these bytes.
  init(_ bytes: [UInt8]) {
    let storage = TensorStorage(byteCount: bytes.count)
    bytes.withUnsafeBytes { storage.address.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    self.init(storage: storage, offset: 0, byteCount: bytes.count)
  }

  var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}

/// A message as values that can be compared.
struct Contents: Equatable {
  var kind: Message.Kind
  var epoch: UInt32
  var call: UInt64
  var timeLeft: Duration?
  var body: [UInt8]
  var segments: [[UInt8]]

  init(_ message: Message) {
    kind = message.kind
    epoch = message.epoch
    call = message.call
    timeLeft = message.timeLeft
    body = message.body
    segments = message.segments.map(\.bytes)
  }
}

/// A whole frame with its segments inline.
func frame(_ message: Message) -> [UInt8] {
  message.segments.reduce(into: Frame.head(of: message)) { $0 += $1.bytes }
}

extension FrameReader {
  /// Gives the reader bytes in pieces of at most `pieceByteCount`, and collects the messages.
  mutating func read(_ bytes: [UInt8], pieceByteCount: Int = .max) throws -> [Message] {
    var messages: [Message] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = try fill { room in
        let piece = rest.prefix(min(pieceByteCount, room.count))
        room.copyBytes(from: piece)
        return piece.count
      }
      rest = rest.dropFirst(count)
      while let message = try next() { messages.append(message) }
    }
    return messages
  }
}

/// The error of a reader with these limits that is given these bytes.
func failure(
  reading bytes: [UInt8], limits: WireLimits = WireLimits()
) -> RuntimeError? {
  var reader = FrameReader(limits: limits)
  do {
    _ = try reader.read(bytes)
    return nil
  } catch {
    return error as? RuntimeError
  }
}
