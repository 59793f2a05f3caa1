import ByzRuntime
import ByzTensor
import Foundation
import Testing

@Suite("Tensors on the wire", .timeLimit(.minutes(3)))
struct WireTensorTests {
  struct Update: Codable {
    var name = "worker"
    var gradient: Tensor<Float>
    var others: [AnyTensor]
  }

  /// What comes back through the bytes of a frame.
  private func sent<Value: Codable>(_ value: Value) throws -> Value {
    var encoder = WireEncoder()
    let body = try encoder.encode(value).serialized()
    var reader = FrameReader()
    let message = try #require(
      try reader.read(frame(Message(.call, body: body, segments: encoder.segments))).first)
    return try WireDecoder(segments: message.segments)
      .decode(Value.self, from: WireValue(parsing: message.body))
  }

  private func expectBack<Element>(_ tensor: Tensor<Element>) throws {
    #expect(try sent(tensor).hasSameBits(as: tensor))
    guard case let any = AnyTensor(tensor), let back = try sent(any).typed(as: Element.self) else {
      Issue.record("The element type changed.")
      return
    }
    #expect(back.hasSameBits(as: tensor))
  }

  @Test("come back bit by bit: vectors, scalars, empty ones, both precisions, views")
  func roundTrip() throws {
    try expectBack([1, -0, .nan, .infinity] as Tensor<Float>)
    try expectBack([1, .pi, -.nan] as Tensor<Double>)
    try expectBack(Tensor<Float>(repeating: 3, shape: []))
    for shape in [[0], [3, 0], [0, 4, 2]] {
      try expectBack(Tensor<Float>(repeating: 3, shape: shape))
      try expectBack(Tensor<Double>(repeating: 3, shape: shape))
    }
    let matrix = try Tensor<Double>(Array(0..<12).map(Double.init), shape: [3, 4])
    for row in matrix.rows { try expectBack(row) }
    try expectBack(Tensor<Float>(repeating: 0.25, shape: [300, 401]))
  }

  @Test("travel in values as segments, in order, and are not copied into the body")
  func segments() throws {
    let update = Update(
      gradient: [1, 2], others: [.float64([3]), .float32(Tensor(repeating: 4, shape: [2, 2]))])
    var encoder = WireEncoder()
    let first = try encoder.encode(update)
    let second = try encoder.encode([5, 6] as Tensor<Float>)
    #expect(encoder.segments.map(\.byteCount) == [8, 8, 16, 8])
    #expect(encoder.segments[0].storage === update.gradient.storage)
    let decoder = WireDecoder(segments: encoder.segments)
    let back = try decoder.decode(Update.self, from: first)
    #expect(back.gradient == update.gradient && back.others == update.others)
    #expect(try decoder.decode(Tensor<Float>.self, from: second) == [5, 6])
  }

  @Test("leave no segments behind when encoding fails")
  func failedEncoding() throws {
    struct Failing: Encodable {
      func encode(to encoder: any Encoder) throws {
        var container = encoder.unkeyedContainer()
        try container.encode([1] as Tensor<Float>)
        throw Failure()
      }
    }
    var encoder = WireEncoder()
    _ = try encoder.encode([7] as Tensor<Float>)
    #expect(throws: Failure.self) { try encoder.encode(Failing()) }
    #expect(encoder.segments.map(\.byteCount) == [4])
  }

  @Test("are written in place when nothing else refers to what was received, else copied")
  func ownership() throws {
    var received = try sent([1, 2, 3] as Tensor<Float>)
    let address = received.address
    received[0] = 9
    #expect(received.address == address)
    #expect(received.elements == [9, 2, 3])

    // Two tensors in one segment, as only a peer with bad intentions would send.
    let tree = WireValue.array([tensor(shape: [2]), tensor(shape: [2])])
    var pair = try WireDecoder(segments: [Segment([UInt8](repeating: 0, count: 8))])
      .decode([Tensor<Float>].self, from: tree)
    pair[0][0] = 1
    #expect(pair[1].elements == [0, 0])
  }

  @Test("are copied from segments that are not aligned")
  func unaligned() throws {
    let whole = Segment([0xFF] + [0, 0, 0x80, 0x3F, 0, 0, 0, 0x40])
    let segment = Segment(storage: whole.storage, offset: 1, byteCount: 8)
    let back = try WireDecoder(segments: [segment])
      .decode(Tensor<Float>.self, from: tensor(shape: [2]))
    #expect(back == [1, 2])
  }

  private func tensor(
    type: String = "float32", shape: [Int64], segment: Int64 = 0
  ) -> WireValue {
    .map([
      .init(key: "type", value: .string(type)),
      .init(key: "shape", value: .array(shape.map(WireValue.int))),
      .init(key: "segment", value: .int(segment)),
    ])
  }

  @Test("are refused with a decoding error when shape, type, bytes or segment do not agree")
  func refused() throws {
    let decoder = WireDecoder(segments: [Segment([UInt8](repeating: 0, count: 8))])
    _ = try decoder.decode(Tensor<Float>.self, from: tensor(shape: [2]))
    let wrong: [(WireValue, TensorError?)] = [
      (tensor(shape: [3]), .wrongCount(expected: 3, actual: 2)),
      (tensor(shape: [1]), .wrongCount(expected: 1, actual: 2)),
      (tensor(shape: []), .wrongCount(expected: 1, actual: 2)),
      (tensor(shape: [0]), .wrongCount(expected: 0, actual: 2)),
      (tensor(shape: [-2, -1]), .invalidShape([-2, -1])),
      (tensor(shape: [1 << 62, 1 << 62]), .invalidShape([1 << 62, 1 << 62])),
      (tensor(shape: [1 << 62, 8, 0]), .invalidShape([1 << 62, 8, 0])),
      (tensor(shape: [2], segment: 1), nil),
      (tensor(shape: [2], segment: -1), nil),
      (tensor(type: "float64", shape: [1]), nil),
      (tensor(type: "int8", shape: [8]), nil),
    ]
    for (tree, underlying) in wrong {
      let error = try #require(throws: DecodingError.self) {
        try decoder.decode(Tensor<Float>.self, from: tree)
      }
      if let underlying {
        guard case .dataCorrupted(let context) = error else {
          Issue.record("\(error)")
          continue
        }
        #expect(context.underlyingError as? TensorError == underlying)
      }
    }
    #expect(
      try decoder.decode(AnyTensor.self, from: tensor(type: "float64", shape: [1])) == .float64([0])
    )
    #expect(throws: DecodingError.self) {
      try decoder.decode(AnyTensor.self, from: tensor(type: "int8", shape: [8]))
    }
  }

  @Test("are numbers with a shape for any other encoder, such as JSON")
  func json() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    let matrix = try Tensor<Float>([1, 2.5, 3, 4, 5, -6], shape: [2, 3])
    let data = try encoder.encode(matrix)
    #expect(
      String(decoding: data, as: UTF8.self)
        == #"{"elements":[1,2.5,3,4,5,-6],"shape":[2,3],"type":"float32"}"#)
    let decoder = JSONDecoder()
    #expect(try decoder.decode(Tensor<Float>.self, from: data) == matrix)
    #expect(try decoder.decode(AnyTensor.self, from: data) == .float32(matrix))
    #expect(throws: DecodingError.self) { try decoder.decode(Tensor<Double>.self, from: data) }
    for shape in ["[2,2]", "[-2,-3]", "[4611686018427387904,4611686018427387904]"] {
      let wrong = #"{"elements":[1,2.5,3,4,5,-6],"shape":\#(shape),"type":"float32"}"#
      #expect(throws: DecodingError.self) {
        try decoder.decode(Tensor<Float>.self, from: Data(wrong.utf8))
      }
    }
    for shape in [[], [0], [2, 0]] {
      let tensor = Tensor<Double>(repeating: 0.5, shape: shape)
      #expect(try decoder.decode(Tensor<Double>.self, from: encoder.encode(tensor)) == tensor)
    }
  }
}
