import ByzRuntime
import ByzTensor
import FuzzSupport

private let limits = {
  var limits = WireLimits()
  (limits.body, limits.depth) = (1000, 12)
  return limits
}()

/// What a value of one byte may take: its place in an array that grows, and in the set that finds names that come twice.
private let byteCountPerByte = 256

/// Parses the input as a value, and takes the value for one of several types.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWireValue(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeRawBufferPointer(start: start, count: count))
  let parsed = bounded(implied: byteCountPerByte * count, "the parser of values") {
    Result { () throws(RuntimeError) in try WireValue(parsing: bytes, limits: limits) }
  }
  switch parsed {
  case .success(let value):
    check(value.serialized() == bytes, "a value has one form in bytes")
    check(bytes.count <= limits.body, "the limit holds")
    decodeAll(value)
  case .failure(let error):
    check(error.code == .malformedMessage && !error.message.isEmpty, "there is a reason")
  }
  return 0
}

private struct Record: Codable {
  var (bool, string): (Bool, String)
  var (float, double): (Float?, Double?)
  var (int, short, byte, unsigned): (Int, Int16?, UInt8?, UInt64?)
  var bytes: [UInt8]
  var choices: [Choice]
  var tensor: Tensor<Float>?
  var next: [Record]?
}

private indirect enum Choice: Codable {
  case none
  case one(Int32)
  case pair(first: Choice, AnyTensor?)
}

private func decodeAll(_ value: WireValue) {
  decode(Record.self, value)
  decode([Choice].self, value)
  decode(Tensor<Float>.self, value)
  decode([Tensor<Double>].self, value)
  decode([AnyTensor?].self, value)
  decode([UInt8].self, value)
  decode([[Int8?]].self, value)
  decode([Double].self, value)
  // Dictionaries have no order, so theirs are only decoded.
  let decoder = WireDecoder(segments: segments)
  _ = try? decoder.decode([String: Double?].self, from: value)
  _ = try? decoder.decode([Int: [String: Bool]].self, from: value)
}

/// Segments of several sizes; the last is not aligned.
private let segments = {
  let storage = TensorStorage(byteCount: 64)
  storage.address.initializeMemory(as: UInt8.self, repeating: 1, count: 64)
  return [(0, 8), (8, 0), (16, 24), (33, 16)].map {
    Segment(storage: storage, offset: $0.0, byteCount: $0.1)
  }
}()

/// Checks that what can be decoded can be encoded, and comes back the same from then on.
private func decode<Value: Codable>(_ type: Value.Type, _ tree: WireValue) {
  do {
    let value = try WireDecoder(segments: segments).decode(type, from: tree)
    var encoder = WireEncoder()
    let first = try encoder.encode(value)
    let again = try WireDecoder(segments: encoder.segments).decode(type, from: first)
    var second = WireEncoder()
    let bytes = try second.encode(again).serialized()
    check(first.serialized() == bytes, "a \(type) comes back")
    check(
      zip(encoder.segments, second.segments).allSatisfy(haveSameBytes)
        && encoder.segments.count == second.segments.count, "and so do its tensors")
  } catch {
    check(error is DecodingError, "an error has the right type: \(error)")
  }
}

private func haveSameBytes(_ a: Segment, _ b: Segment) -> Bool {
  a.withUnsafeBytes { x in b.withUnsafeBytes { y in x.elementsEqual(y) } }
}
