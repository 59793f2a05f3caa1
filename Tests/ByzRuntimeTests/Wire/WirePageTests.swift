import ByzRuntime
import ByzTensor
import Foundation
import Testing

@Suite("docs/wire-format.md")
struct WirePageTests {
  private static let page = URL(filePath: #filePath)
    .deletingLastPathComponent().appending(path: "../../../docs/wire-format.md")

  struct Argument: Codable {
    var round: Int
    var gradient: Tensor<Float>
  }

  /// The bytes in front of each line's explanation, which two blanks separate.
  private func example() throws -> [UInt8] {
    let text = try String(contentsOf: Self.page, encoding: .utf8)
    let block = try #require(text.firstRange(of: "```hex\n")).upperBound
    let lines = text[block...].prefix { $0 != "`" }.split(separator: "\n")
    return try lines.flatMap { line in
      try line[..<(line.firstRange(of: "  ")?.lowerBound ?? line.endIndex)].split(separator: " ")
        .map { try #require(UInt8($0, radix: 16)) }
    }
  }

  @Test("shows the bytes that are sent, and that are understood")
  func bytes() throws {
    let bytes = try example()
    var encoder = WireEncoder()
    let tree = try encoder.encode(Argument(round: 3, gradient: [1, -2]))
    let message = Message(
      .call, epoch: 1, call: 2, timeLeft: .milliseconds(1500), body: tree.serialized(),
      segments: encoder.segments)
    #expect(frame(message) == bytes)

    var reader = FrameReader()
    let received = try #require(try reader.read(bytes).first)
    #expect(Contents(received) == Contents(message))
    let argument = try WireDecoder(segments: received.segments)
      .decode(Argument.self, from: WireValue(parsing: received.body))
    #expect(argument.round == 3 && argument.gradient == [1, -2])
  }

  @Test("names every kind of message with its number")
  func kinds() throws {
    let text = try String(contentsOf: Self.page, encoding: .utf8)
    for kind in Message.Kind.allCases {
      #expect(text.contains("\n| \(kind.rawValue) | \(kind) | "))
    }
  }
}
